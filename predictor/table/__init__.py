"""Run records, or a file of fine-tunes made elsewhere → features, target and groups; the only place for columns."""

from predictor.table.build import build, feature_row
from predictor.table.columns import Column, FeatureSchema, as_frame
from predictor.table.external import from_file
from predictor.table.groups import dataset_groups
from predictor.table.table import Noise, Table

__all__ = [
    "Column",
    "FeatureSchema",
    "Noise",
    "Table",
    "as_frame",
    "build",
    "dataset_groups",
    "feature_row",
    "from_file",
]

"""Versions of the registered predictor: package, promote, load."""

from predictor.registry.load import Predictor, load
from predictor.registry.package import NAME, register
from predictor.registry.ranking import Candidate, from_probe, from_record, ranking
from predictor.registry.versions import canonical_stage, find, gate, promote, versions

__all__ = [
    "NAME",
    "Candidate",
    "Predictor",
    "canonical_stage",
    "find",
    "from_probe",
    "from_record",
    "gate",
    "load",
    "promote",
    "ranking",
    "register",
    "versions",
]

"""Datasets made of others: spoilt, mixed, sliced. A further way to spoil is one file here, which registers itself."""

from predictor.catalog import discover
from predictor.data.operators.base import SPOILERS, Rows
from predictor.data.operators.making import made

discover(__name__, __path__)

__all__ = ["SPOILERS", "Rows", "made"]

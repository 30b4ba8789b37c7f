"""A tracking server: PostgreSQL and MLflow as child processes over one folder."""

from predictor.server.both import Addresses, Wanted, serving, watch

__all__ = ["Addresses", "Wanted", "serving", "watch"]

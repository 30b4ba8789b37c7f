"""A tracking server: PostgreSQL and MLflow as child processes over one folder."""

from predictor.server.serving import Addresses, Wanted, serving, watch

__all__ = ["Addresses", "Wanted", "serving", "watch"]

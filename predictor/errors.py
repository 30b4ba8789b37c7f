"""The error family: every message says what was wrong, where, the rule and the fix."""

from __future__ import annotations

from predictor.masking import masked


class PredictorError(Exception):
    """A fault that the user can understand and mend. Passwords in URIs are masked in all of its texts.

    Args:
        what: what was wrong, including what was received.
        where: the file, row, field, parameter or run in which it was found.
        rule: what would have been accepted.
        fix: the next thing to do.
    """

    def __init__(self, what: str, *, where: str | None = None, rule: str | None = None, fix: str | None = None) -> None:
        self.what = masked(what)
        self.where, self.rule, self.fix = (text and masked(text) for text in (where, rule, fix))
        super().__init__(self.what)

    def __str__(self) -> str:
        parts = [self.what]
        for label, text in (("where", self.where), ("rule", self.rule), ("fix", self.fix)):
            if text:
                parts.append(f"  {label}: {text}")
        return "\n".join(parts)

    def one_line(self) -> str:
        """The same message on one line, for tags and tables."""
        return " | ".join(line.strip() for line in str(self).splitlines())


def in_one_line(error: BaseException) -> str:
    """What an error of any kind says, on one line, for tables: a message of ours, or its type and text."""
    if isinstance(error, PredictorError):
        return error.one_line()
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


class ConfigError(PredictorError):
    """A parameter, or an entry of a list parameter, is unknown or out of range."""


class DataError(PredictorError):
    """A dataset file is missing, unreadable or holds rows that cannot be used."""


class ModelError(PredictorError):
    """A base model, adapter or encoder cannot be loaded."""


class TrainingError(PredictorError):
    """A fine-tune cannot start or has gone wrong (NaN loss, nothing left to learn from)."""


class TrackingError(PredictorError):
    """The MLflow tracking store cannot be reached or does not hold what was asked for."""


class LeaseLost(TrackingError):
    """The run was given to another owner while this one was silent; it may not write on it any more."""


class ResultsWait(TrackingError):
    """The store could not take the results of a run that ended well; they wait on disk and are delivered later."""


class SchemaError(PredictorError):
    """A run or table was written under another schema version, or breaks the schema."""


class TableError(PredictorError):
    """The training table is empty, or lacks a column or the variety that a predictor needs."""


class RegistryError(PredictorError):
    """A registered model, version or stage does not exist or may not be promoted."""

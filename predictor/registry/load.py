"""A registered predictor, ready to use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from predictor.meta.bundle import Bundle
from predictor.registry.faults import registry_faults
from predictor.registry.package import NAME
from predictor.registry.ranking import Candidate, features_of, ranking
from predictor.registry.versions import find
from predictor.schema.record import RunRecord
from predictor.table import as_frame

Prober = Callable[..., RunRecord]
"""(dataset source, **settings of the probe) → a record with hp and probe features."""


@dataclass(frozen=True)
class Predictor:
    """A version of the registered model.

    Attributes:
        name, version, stage: where it came from.
        tags: of the version: table digest, validation figures, how it was promoted.
    """

    bundle: Bundle
    name: str
    version: int
    stage: str
    tags: Mapping[str, str]
    prober: Prober | None = None

    def predict(self, rows: pd.DataFrame | Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> pd.DataFrame:
        """What is predicted of feature rows (`hp/...`, `probe/...`); the same numbers as over REST.

        Features that a row lacks count as unknown; others than the predictor's are ignored.

        Returns:
            `prediction`, `lower`, `upper`, `unusual`, `unusual_feature`, `estimator`; one row for each row.

        Raises:
            TableError: a number feature holds text.
        """
        return self.bundle.predict(as_frame(rows))

    def contributions(self, rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        """SHAP values by feature, and the `base` value; each row sums to its prediction."""
        return self.bundle.contributions(as_frame(rows))

    def rank(self, candidates: Sequence[str | Path | Mapping[str, Any] | RunRecord], **probe: Any) -> pd.DataFrame:
        """Candidates by what is predicted of them, best first.

        Args:
            candidates: dataset sources, which are probed first, feature rows, or records.
            probe: settings of the probe (parameters of a fine-tune: learning_rate, seed, base_model, ...). Base model,
                task, evaluation, limits, probe steps and tiers are those of the runs that taught, unless one is said.

        Returns:
            `rank`, `candidate`, `prediction`, `lower`, `upper`, `unusual`, `unusual_feature`, `reasons`, `error`. A
            candidate that cannot be probed comes last, with its error and no prediction. One probed with another base
            model or evaluation than those that taught is `unusual` in it.
        """
        return ranking(self.bundle, [self._candidate(each, number, probe) for number, each in enumerate(candidates, 1)])

    def _candidate(
        self, given: str | Path | Mapping[str, Any] | RunRecord, number: int, probe: dict[str, Any]
    ) -> Candidate:
        return features_of(self.bundle, given, number, self.prober, probe)


def load(
    stage: str | None = None, *, version: int | None = None, name: str = NAME, prober: Prober | None = None
) -> Predictor:
    """The predictor in a stage (Production when nothing is said), or a version by number.

    Only data are read: no code that is stored with the version runs.

    Raises:
        RegistryError: no such model, version or stage (with what exists), or its files cannot be read.
    """
    found = find(name, stage=stage, version=version)
    with registry_faults(f"loading version {found.version} of '{name}'"):
        folder = mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{name}/{found.version}")
    bundle = Bundle.load(Path(folder, "artifacts", "bundle"))
    return Predictor(bundle, name, int(found.version), str(found.current_stage), dict(found.tags), prober)

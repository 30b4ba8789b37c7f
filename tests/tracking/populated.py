"""A store with everything in it that a reader may stumble over."""

from __future__ import annotations

import dataclasses
import math
import uuid
from collections.abc import Iterable, Mapping

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from predictor.schema import RunRecord, encode, keys
from predictor.tracking import record_of


class Populated:
    """Two experiments of its own, and a third one that is deleted; `expected` are the fine-tunes, oldest first."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.client = MlflowClient(uri)
        own = uuid.uuid4().hex[:8]
        self.names = [f"a-{own}", f"b-{own}"]
        a, b, gone = (self.client.create_experiment(name) for name in [*self.names, f"gone-{own}"])
        full = {f"feature_{k}": k / 7 for k in range(12)}
        self.parent = self.run(a, 500, kind=keys.KIND_QUICKSTART)
        # Seven runs of one millisecond, and windows that end within it for most sizes of a page.
        same = [self.run(a, 2000, probe={**full, "odd": math.nan}, dataset=f"d{k}") for k in range(7)]
        fine_tunes = [
            self.run(a, 1000, probe=full, parent=self.parent),
            *sorted(same),
            self.run(b, 3000, probe={}, scores={}, hp={}, status="FAILED", failure='it\'s "over"\n100 %\x1e'),
            self.run(
                b, 3001, probe={"huge": 1e300, "tiny": 5e-324, "exact": 0.1 + 0.2}, hp={"a": "\x1eb"}, status="RUNNING"
            ),
            self.run(b, 4000, probe=full, parent=self.parent, row_sketch=("0123456789", "abcdefabcd"), status="KILLED"),
        ]
        self.run(a, 1500, kind=keys.KIND_PROBE, probe=full)
        self.deleted = self.run(a, 1600, probe=full)
        self.client.delete_run(self.deleted)
        self.run(gone, 1700, probe=full)
        self.client.delete_experiment(gone)
        other = self.client.create_run(a, start_time=2000).info.run_id  # somebody else's, without our tags
        self.client.log_metric(other, "probe/feature_0", 1.0)
        self.expected = [record_of(self.client.get_run(run_id)) for run_id in fine_tunes]

    def run(
        self, experiment: str, start: int, *, status: str = "FINISHED", parent: str | None = None, **changes: object
    ) -> str:
        """Start times are in milliseconds."""
        values = {"complete": True, "hp": {"learning_rate": 3e-4, "lora_r": 8}, "scores": {"exact_match": 0.5}}
        encoded = encode(RunRecord(**{**values, **changes}))  # type: ignore[arg-type]
        # Fine-tunes of earlier versions name their parent by MLflow's own tag.
        link = "mlflow.parentRunId" if status == "FINISHED" else keys.TAG_PARENT
        tags = {**encoded.tags, **({link: parent} if parent else {})}
        run_id = self.client.create_run(experiment, start_time=start).info.run_id
        # A key logged twice counts by its latest step; a curve is nothing that a record holds.
        metrics = [Metric(name, -1.0, 0, 0) for name in encoded.metrics] + [Metric("train/loss", 9.0, 1, 1)]
        metrics += [Metric(name, value, 1, 1) for name, value in encoded.metrics.items()]
        params = [Param(name, value) for name, value in {**encoded.params, "bare": "x"}.items()]
        self.client.log_batch(run_id, metrics, params, [RunTag(*each) for each in tags.items()])
        if status != "RUNNING":
            self.client.set_terminated(run_id, status, end_time=start + 10)
        return str(run_id)


def plain(records: Iterable[RunRecord]) -> list[str]:
    """Records as text, in which NaN is equal to itself and the order of a mapping is none."""
    return [
        repr(
            {name: sorted(v.items()) if isinstance(v, Mapping) else v for name, v in dataclasses.asdict(record).items()}
        )
        for record in records
    ]

"""Synthetic fine-tunes put straight into the tables of a tracking database, as the real ones would stand there."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

RUNS_PER_DATASET = 20
"""Ten configurations of two seeds each."""
SKETCH = 512
"""Row hashes of a dataset."""
PROBES, COSTS = 75, 12
_START = 1_700_000_000_000  # milliseconds
_COLUMNS = {
    "runs": "run_uuid name source_type source_name entry_point_name user_id status start_time end_time source_version"
    " lifecycle_stage artifact_uri experiment_id",
    "latest_metrics": "key value timestamp step is_nan run_uuid",
    "params": "key value run_uuid",
    "tags": "key value run_uuid",
}
_AT_ONCE = 200
"""Runs that are written together."""


def insert(uri: str, first: int, count: int) -> None:
    """Add the runs `first`, `first + 1`, … to a migrated SQLite or PostgreSQL store. Points of curves are left out."""
    parts = [range(i, min(i + _AT_ONCE, first + count)) for i in range(first, first + count, _AT_ONCE)]
    if uri.startswith("sqlite"):
        with sqlite3.connect(uri.removeprefix("sqlite:///")) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            for table, rows in ((table, rows) for part in parts for table, rows in _rows(part).items()):
                columns = _COLUMNS[table].split()
                statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
                connection.executemany(statement, rows)
        return
    import psycopg

    with psycopg.connect(uri) as postgres, postgres.cursor() as cursor:
        for table, rows in ((table, rows) for part in parts for table, rows in _rows(part).items()):
            with cursor.copy(f"COPY {table} ({', '.join(_COLUMNS[table].split())}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
    with psycopg.connect(uri, autocommit=True) as postgres:
        postgres.execute("ANALYZE")  # PostgreSQL does so by itself within a minute


def _rows(runs: range) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of these runs by table, in the order of their columns."""
    found: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _COLUMNS}
    for i in runs:
        run_id, rng, start = _run_id(i), random.Random(i), _START + 60_000 * i
        names = (run_id, f"fine-tune {i}", "UNKNOWN", "", "", "unknown", "FINISHED")
        found["runs"].append((*names, start, start + 50_000, "", "active", f"mlruns/0/{run_id}/artifacts", 0))
        found["latest_metrics"] += [
            (key, 0.0 if value is None else value, start, 0, value is None, run_id) for key, value in _metrics(i, rng)
        ]
        found["params"] += [(key, value, run_id) for key, value in _params(i)]
        found["tags"] += [(key, value, run_id) for key, value in _tags(i)]
    return found


def _run_id(i: int) -> str:
    return f"{random.Random(-1 - i).getrandbits(128):032x}"


def _metrics(i: int, rng: random.Random) -> Iterator[tuple[str, float | None]]:
    """A probe feature in fifty is NaN, which MLflow stores as 0 with a mark; here None."""
    for k in range(PROBES):
        yield f"probe/feature_number_{k}", None if rng.random() < 0.02 else rng.gauss(0, 1)
    yield "score/exact_match", rng.random()
    yield "score/f1", rng.random()
    yield "score/n", 1000.0
    yield "score/exact_match_se", 0.01
    yield "score/f1_se", 0.01
    for k in range(COSTS - 1):
        yield f"cost/part_{k}_s", rng.random()
    yield "cost/total_s", 100 * rng.random()
    for key in ("train/loss", "train/grad_norm", "train/learning_rate", "eval/loss"):
        yield key, rng.random()


def _params(i: int) -> Iterator[tuple[str, str]]:
    rate = 10.0 ** -(2 + (i % RUNS_PER_DATASET % 10) / 4)
    yield from {
        "hp/learning_rate": repr(rate),
        "hp/lora_r": "8",
        "hp/lora_alpha": "32",
        "hp/lora_dropout": "0.1",
        "hp/target_modules": "all-linear",
        "hp/batch_size": "16",
        "hp/per_device_batch_size": "0",
        "hp/epochs": "3.0",
        "hp/max_steps": "0",
        "hp/warmup_ratio": "0.03",
        "hp/lr_scheduler": "cosine",
        "hp/weight_decay": "0.0",
        "hp/max_length": "1024",
    }.items()


@lru_cache(maxsize=1)
def _sketch(dataset: int) -> str:
    rng = random.Random(dataset)
    return "".join(sorted(f"{rng.getrandbits(40):010x}" for _ in range(SKETCH)))


def _tags(i: int) -> Iterator[tuple[str, str]]:
    dataset = i // RUNS_PER_DATASET
    yield from {
        "mlflow.source.name": "predictor",
        "mlflow.source.type": "LOCAL",
        "mlflow.parentRunId": "0" * 32,
        "mlflow.runName": f"fine-tune {i}",
        "mlflow.loggedArtifacts": '[{"path": "predictions.json", "type": "table"}]',
        "predictor.kind": "finetune",
        "predictor.schema_version": "1",
        "predictor.task": "qa",
        "predictor.dataset": f"dataset-{dataset}.json",
        "predictor.dataset_fingerprint": f"{dataset:016x}",
        "predictor.eval_dataset": "lab:evaluation",
        "predictor.eval_fingerprint": "d25bbda47982b042",
        "predictor.base_model": "lab",
        "predictor.base_model_digest": "d6ba5180f4433799",
        "predictor.encoder_digest": "53aa51172d142c89",
        "predictor.code_revision": "f27fc4de1bc9",
        "predictor.seed": str(1 + i % RUNS_PER_DATASET // 10),
        "predictor.config_hash": f"{i:016x}",
        "predictor.row_sketch": _sketch(dataset),
        "predictor.complete": "true",
    }.items()

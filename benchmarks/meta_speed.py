"""The predictor's speed: `python -m benchmarks.meta_speed [ROWS] [THREADS]`.

Trains, validates and explains on ROWS made-up fine-tunes with 60 features (10 000 by default), then predicts 1 000 rows
with the shipped code and with LightGBM called directly, in turns.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from predictor import environment

environment.prepare()
environment.quiet_libraries()

from benchmarks.interleaved import interleave, seconds  # noqa: E402
from benchmarks.synthetic_runs import records  # noqa: E402
from predictor.meta.train import train  # noqa: E402
from predictor.report.meta_report import write_figures  # noqa: E402
from predictor.table import build  # noqa: E402

CANDIDATES, ROUNDS = 1000, 7


def main(rows: int, threads: int) -> None:
    made = records(rows, groups=max(10, rows // 10), noise_features=54)
    started = time.perf_counter()
    table = build(made, average_seeds=False)
    tabled = time.perf_counter()
    print(f"{rows} records -> table of {table.matrix.shape}: {tabled - started:.1f} s", flush=True)
    trained = train(table, threads=threads, on_step=lambda text: None)
    learnt = time.perf_counter()
    print(f"validated, tuned and fitted: {learnt - tabled:.1f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        write_figures(Path(folder), table, trained)
    print(f"explained: {time.perf_counter() - learnt:.1f} s; in all {time.perf_counter() - started:.1f} s", flush=True)

    bundle = trained.bundle
    candidates = table.rows.sample(CANDIDATES, replace=True, random_state=0).reset_index(drop=True)
    matrix = bundle.main.schema.matrix(candidates)
    bare, shipped, _ = interleave(
        lambda: seconds(lambda: bundle.main.model.predict(matrix)),
        lambda: seconds(lambda: bundle.predict(candidates)),
        ROUNDS,
    )
    print(
        f"{CANDIDATES} rows: {1000 * shipped:.0f} ms with intervals and flags, {1000 * bare:.0f} ms for the bare models"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, int(sys.argv[2]) if len(sys.argv) > 2 else 1)

r"""Features that stored runs lack, from probes of the same fine-tunes: `python -m benchmarks.reprobe FILE [WORKERS]`.

FILE is an archive of runs, as `benchmarks.lab_table` writes it. The train tier is the first steps of the very
fine-tune, so a probe of a run's configuration repeats what the run has measured: numbers that both have must be equal
to the last bit, or nothing is added to the run. What was measured is kept beside the archive (FILE.jsonl), from which a
call that was cut off goes on. At the end the archive holds the features that were new.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from predictor import environment

environment.prepare()
environment.quiet_libraries()

from tqdm import tqdm  # noqa: E402

from predictor.schema.archive import read_archive, write_archive  # noqa: E402
from predictor.trial.config import config_of  # noqa: E402


def measured(stored: Mapping[str, Any]) -> dict[str, float]:
    """The features of the train tier of one configuration."""
    import torch

    from predictor.trial.trial import Trial

    torch.set_num_threads(1)
    with Trial(config_of(stored).replace(tiers="train", checkpoint_steps=0)) as trial:
        trial.train(lambda step, values: None, probe_only=True)
        return dict(trial.features)


def _numbered(task: tuple[int, Mapping[str, Any]]) -> tuple[int, dict[str, float]]:
    return task[0], measured(task[1])


def main(path: Path, workers: int) -> int:
    archive = read_archive(path)
    kept = path.with_suffix(".jsonl")
    done: dict[int, dict[str, float]] = {}
    if kept.exists():
        for line in kept.read_text().splitlines():
            number, features = json.loads(line)
            done[number] = features
    tasks = [(number, config) for number, config in enumerate(archive.configs) if number not in done]
    with multiprocessing.get_context("spawn").Pool(workers) as pool, kept.open("a") as stream:
        for number, features in tqdm(pool.imap_unordered(_numbered, tasks), total=len(tasks)):
            done[number] = features
            stream.write(json.dumps([number, features]) + "\n")
            stream.flush()
    records, differing, added = [], 0, set()
    for number, record in enumerate(archive.records):
        both = {name for name in done[number] if name in record.probe}
        # NaN differs from itself, and says the same.
        same = all(repr(done[number][name]) == repr(record.probe[name]) for name in both)
        differing += not same
        new = {name: value for name, value in done[number].items() if name not in both} if same else {}
        added |= set(new)
        records.append(dataclasses.replace(record, probe={**record.probe, **new}))
    write_archive(path, records, archive.configs, {**archive.about, "added_by_probes": ",".join(sorted(added))})
    print(f"{len(records) - differing} of {len(records)} probes repeat their runs to the bit; added {sorted(added)}")
    return int(differing > 0)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2))

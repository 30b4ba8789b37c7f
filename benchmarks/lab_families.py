"""Real fine-tunes of the lab's base over families, dials and seeds: `python -m benchmarks.lab_families OUTPUT.jsonl`.

One process does all of them, so that the imports are paid once. A row that is already in the output is not run again.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from predictor.config import FinetuneConfig
from predictor.lab import FAMILIES

SIZE = 512
HP = {"learning_rate": 5e-3, "batch_size": 16, "epochs": 3.0, "lora_dropout": 0.0}
NOISE = (("size", 512), ("size", 128), ("wrong_answers", 0.5), ("verbose_answers", 0.5), ("few_relations", 0.5))
SEEDS = (1, 2, 3)


def plan() -> Iterator[dict[str, float | int | str]]:
    """Every family at its settings, then the seeds of the noise configurations: (dataset, training seed)."""
    for family, entry in FAMILIES:
        for dial in entry.settings:
            yield {"part": "families", "family": family, "dial": dial, "data_seed": 1, "seed": 1}
    for family, dial in NOISE:
        for seed in SEEDS:
            yield {"part": "noise", "family": family, "dial": dial, "data_seed": seed, "seed": seed}


def main(output: Path, shard: int = 0, shards: int = 1) -> None:
    from predictor.flows.finetune import finetune

    done = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
    keys = ("family", "dial", "data_seed", "seed")
    seen = {tuple(row[key] for key in keys) for row in done}
    with tempfile.TemporaryDirectory() as folder:
        for number, row in enumerate(plan()):
            if tuple(row[key] for key in keys) in seen or number % shards != shard:
                continue
            config = FinetuneConfig(
                dataset=f"lab:{row['family']}:dial={row['dial']:g}:size={SIZE}:seed={row['data_seed']}",
                seed=int(row["seed"]),
                tiers="static",
                **HP,  # type: ignore[arg-type]
            )
            started = time.perf_counter()
            record = finetune(config, experiment="lab", tracking_uri=f"sqlite:///{folder}/store.db")
            row |= {name: record.scores[name] for name in ("exact_match", "f1", "n")}
            row |= {"seconds": time.perf_counter() - started, "costs": dict(record.costs)}
            with output.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
            print({key: row[key] for key in (*keys, "exact_match", "seconds")}, flush=True)
            seen.add(tuple(row[key] for key in keys))


if __name__ == "__main__":
    from predictor import environment

    environment.prepare()
    environment.quiet_libraries()
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

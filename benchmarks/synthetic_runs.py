"""Made-up run records with a known law, for tests and benchmarks of the table, the predictor and the registry."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

import predictor.tasks  # noqa: F401 - declares the targets
from predictor.schema import RunRecord


def row_hash(name: object) -> str:
    """Ten hexadecimal digits for a row of this name."""
    return hashlib.sha256(str(name).encode()).hexdigest()[:10]


def record(**changes: Any) -> RunRecord:
    """One finished, complete fine-tune."""
    values: dict[str, Any] = {
        "run_id": "run-0",
        "status": "FINISHED",
        "complete": True,
        "task": "qa",
        "dataset": "a.json",
        "dataset_fingerprint": "fa",
        "row_sketch": (row_hash("r1"), row_hash("r2")),
        "eval_fingerprint": "ev",
        "base_model": "lab",
        "base_model_digest": "bd",
        "seed": 1,
        "hp": {"learning_rate": 3e-4, "lora_r": 8, "target_modules": "all-linear"},
        "probe": {"initial_loss": 2.0, "zero_shot_exact_match": 0.1},
        "scores": {"exact_match": 0.5, "n": 100.0, "exact_match_se": 0.05},
        "costs": {"total_s": 10.0},
    }
    return RunRecord(**{**values, **changes})


def records(count: int, *, groups: int = 0, seed: int = 0, noise_features: int = 4) -> list[RunRecord]:
    """`count` fine-tunes on `groups` datasets (one each when 0).

    exact_match = 0.4 + 0.15 · quality + 0.1 · log10(learning_rate / 3e-4) + noise of 0.02; the initial loss and the
    zero-shot score tell the quality of a dataset with noise; the other features tell nothing.
    """
    rng = np.random.default_rng(seed)
    groups = groups or count
    quality = rng.normal(size=groups)
    made = []
    for i in range(count):
        g = i % groups
        rate = float(rng.choice([1e-4, 3e-4, 1e-3]))
        score = 0.4 + 0.15 * quality[g] + 0.1 * np.log10(rate / 3e-4) + 0.02 * rng.normal()
        probe = {f"noise_{k}": float(rng.normal()) for k in range(noise_features)}
        probe["initial_loss"] = float(3.0 - 0.3 * quality[g] + 0.1 * rng.normal())
        probe["zero_shot_exact_match"] = float(max(0.0, 0.1 + 0.05 * quality[g] + 0.02 * rng.normal()))
        made.append(
            record(
                run_id=f"run-{i}",
                dataset=f"dataset-{g}.json",
                dataset_fingerprint=f"f{g}",
                row_sketch=(row_hash(f"{g}-a"), row_hash(f"{g}-b")),
                seed=1 + i // groups,
                hp={"learning_rate": rate, "lora_r": int(rng.choice([8, 16])), "target_modules": "all-linear"},
                probe=probe,
                scores={"exact_match": float(np.clip(score, 0.0, 1.0)), "n": 200.0},
            )
        )
    return made

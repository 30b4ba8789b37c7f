"""Static features of datasets as people have them: English and Chinese, clean and dirty."""

from __future__ import annotations

import math
from pathlib import Path

from predictor.data import load
from predictor.probe import FEATURES, static_features
from predictor.tasks import TASKS

QA = TASKS.get("qa")
ROWS = 200


def test_every_candidate_has_finite_numbers(real_data: Path) -> None:
    files = sorted((real_data / "candidates").glob("*.json*"))
    assert files
    for file in files:
        examples = load(file, drop_bad=True).examples[:ROWS]
        features = static_features([e for e in examples if QA.accepts(e) is None], QA)
        for name, value in features.items():
            assert math.isfinite(value) or (math.isnan(value) and FEATURES.get(name).nan), (file.name, name)


def test_extractive_answers_are_found_in_their_passages(real_data: Path) -> None:
    for name in ("train.json", "xquad.zh.json"):
        features = static_features(load(real_data / "squad" / name).examples[:ROWS], QA)
        assert features["answer_in_context_rate"] > 0.95
        assert features["answer_coverage"] > 0.95

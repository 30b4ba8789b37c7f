"""The catalog of features, its page and its explanations."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from predictor.config import TIERS
from predictor.errors import ConfigError
from predictor.probe import FEATURES, explain, lookup
from predictor.probe.page import features_page

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", FEATURES.names())
def test_entry_is_complete(name: str) -> None:
    entry = FEATURES.get(name)
    assert entry.name == name
    assert re.fullmatch(r"[a-z][a-z0-9_]*(<headline>)?", name)
    assert entry.tier in TIERS
    assert entry.unit
    assert entry.source
    assert re.fullmatch(r"[a-z][^\n]*[^.\n]", entry.meaning)


def test_the_missions_eight_are_there() -> None:
    for name in (
        "dataset_size",
        "initial_loss",
        "output_semantic_diversity",
        "input_output_similarity",
        "perplexity",
        "loss_decay",
        "gradient_norm_mean",
    ):  # the eighth, Hj, is logged as hp/*
        assert name in FEATURES


def test_page_is_generated_from_the_catalog() -> None:
    assert (ROOT / "docs" / "features.md").read_text(encoding="utf-8") == features_page(), (
        'regenerate it: python -c "from pathlib import Path; from predictor.probe.page import features_page; '
        "Path('docs/features.md').write_text(features_page(), encoding='utf-8')\""
    )


def test_explanations_accept_logged_names() -> None:
    assert explain("probe/dataset_size") == "how many training examples there are"
    assert lookup("zero_shot_exact_match").name == "zero_shot_<headline>"
    assert lookup("probe/early_rouge_l").name == "early_<headline>"
    assert lookup("early_loss").name == "early_loss"


def test_unknown_feature_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'initial_loss'") as caught:
        explain("initial_los")
    assert caught.value.rule == "a name in docs/features.md"


def test_importing_the_probe_imports_no_torch() -> None:
    script = (
        "import sys, predictor.probe, predictor.tasks; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0

"""Tasks of lm-evaluation-harness (Gao et al., github.com/EleutherAI/lm-evaluation-harness), where it is installed.

It asks both models in its own way, from its own task files; what comes back is each question's score of either, so that
the comparison is as paired as any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from predictor.errors import DataError
from predictor.evaluation.measured import OriginalResult
from predictor.evaluation.originals import Original
from predictor.evaluation.paired import paired

if TYPE_CHECKING:
    from predictor.evaluation.pair import Pair

_SHARES: Final = ("acc_norm", "acc", "exact_match", "em", "f1", "pass@1", "mcc")
"""Metrics that are shares, the one that counts first."""


def run_harness(pair: Pair, original: Original, limit: int) -> OriginalResult:
    """A task of the harness on both models.

    Args:
        limit: questions; 0 takes all.

    Raises:
        DataError: it has no such task, or the task has no metric in [0, 1] for each question.
    """
    with pair.untuned() as model:
        base = _samples(model, pair, original, limit)
    tuned = _samples(pair.tuned, pair, original, limit)
    metric = next((name for name in _SHARES if base and all(name in row for row in (*base, *tuned))), "")
    if not metric or len(base) != len(tuned):
        known = sorted({name for row in base for name, value in row.items() if isinstance(value, (int, float))})
        raise DataError(
            f"the harness's task '{original.source}' gives no share for each of its questions",
            where=f"lm_eval:{original.source}",
            rule=f"one of: {', '.join(_SHARES)}; it has {', '.join(known) or 'none'}",
            fix="choose a task of multiple choice or exact answers, a single one and no group",
        )
    values = [[float(row[metric]) for row in rows] for rows in (base, tuned)]
    score = paired(*values)
    details = {f"{metric}_base": score.base, f"{metric}_tuned": score.tuned}
    return OriginalResult(original.name, original.kind, f"{metric} of lm-evaluation-harness", score, details, math.nan)


def _samples(model: Any, pair: Pair, original: Original, limit: int) -> list[Mapping[str, Any]]:
    """What the harness says of each question, in its order."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    path = Path(original.source).expanduser()
    # A task file of one's own is named by its path; its folder is searched besides the harness's own.
    own = path.suffix in (".yaml", ".yml")
    name = path.stem if own else original.source
    wrapped = HFLM(pretrained=model, tokenizer=pair.base.tokenizer, batch_size=8)
    try:
        found = lm_eval.simple_evaluate(
            wrapped,
            tasks=[name],
            limit=limit or None,
            bootstrap_iters=0,
            log_samples=True,
            task_manager=TaskManager(include_path=str(path.parent)) if own else TaskManager(),
        )
        samples: Sequence[Mapping[str, Any]] = found["samples"][name]
    except Exception as error:  # the harness, the hub and the task's own code each have their own family
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"the harness cannot run '{original.source}': {type(error).__name__}: {first}",
            where=f"lm_eval:{original.source}",
            rule="the name of one task of the harness, or a task file (.yaml) whose task is called like the file",
            fix="try it alone: lm_eval run --tasks " + name,
        ) from error
    return sorted(samples, key=lambda row: row.get("doc_id", 0))

"""Which fine-tunes are the same: a digest of everything that changes their numbers, and of nothing else."""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path
from typing import Final

import predictor
from predictor.config import canonical_hash, held_share
from predictor.finetune.start import Start
from predictor.schema import keys
from predictor.trial.config import WITHOUT_EFFECT, FinetuneConfig

ROOMS: Final = ("data", "metrics", "tasks", "probe", "models", "finetune", "lab", "trial")
"""Rooms whose code makes the numbers of a fine-tune. A change of a report, of the store or of a sweep makes none."""
_BY_CONTENT: Final = ("dataset", "eval_dataset", "base_model", "replay", "replay_share", "start_from")
"""Parameters that are names: a moved or renamed file with the same content is the same. What is replayed, and how much,
counts where anything is."""
_RULES: Final = ("leak",)
"""Parameters that end a fine-tune or let it be, and change nothing in it."""


def identity(config: FinetuneConfig, dataset: str, scored: str, base_model: str, replayed: str = "") -> str:
    """Digest of everything that determines the result: content, Hj, seed, sizes, schema and code.

    Args:
        dataset, scored, base_model: digests of the rows, of the scored questions and of the whole base model: weights,
            configuration, tokenizer and chat template.
        replayed: digest of the rows that may be mixed in; empty without any.
    """
    values = {n: v for n, v in config.values().items() if n not in (*_BY_CONTENT, *_RULES, *WITHOUT_EFFECT)}
    held = held_share(config.evaluation.eval_dataset)
    # Rows that are held out are not learnt; those of a file are, whatever stands in it.
    values |= {} if held is None else {"held_out": held}
    if replayed:
        values |= {"replay_fingerprint": replayed, "replay_share": config.data.replay_share}
    return canonical_hash(
        {
            **values,
            "dataset_fingerprint": dataset,
            "eval_fingerprint": scored,
            "model_digest": base_model,
            "start_digest": started(config).digest(),
            "schema_version": keys.SCHEMA_VERSION,
            "code_revision": code_revision(),
        }
    )


def started(config: FinetuneConfig) -> Start:
    """The weights that a fine-tune begins with."""
    return Start(config.model.start_from, config.model.keep_optimizer)


@functools.cache
def code_revision() -> str:
    """12 hex digits over the code of :data:`ROOMS`, committed or not. Comments and docstrings do not count."""
    package = Path(predictor.__file__).parent
    digest = hashlib.sha256()
    for room in ROOMS:
        for file in sorted((package / room).rglob("*.py")):
            digest.update(file.relative_to(package).as_posix().encode())
            digest.update(_bare(file.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:12]


def _bare(source: str) -> str:
    """The code as Python understands it."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and not isinstance(node, ast.Lambda):
            # A text that stands alone says something to people only.
            node.body = [each for each in body if not _is_text(each)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)

"""Between a RunRecord and the params, metrics and tags of an MLflow run; decode(encode(record)) == record."""

from __future__ import annotations

import json
import math
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from predictor.errors import SchemaError
from predictor.schema import keys
from predictor.schema.record import HpValue, RunRecord

_HASHES = re.compile(".{1,10}", re.DOTALL)
"""Ten hexadecimal digits each."""
_TEXT_TAGS = {
    "kind": keys.TAG_KIND,
    "task": keys.TAG_TASK,
    "dataset": keys.TAG_DATASET,
    "family": keys.TAG_FAMILY,
    "dataset_fingerprint": keys.TAG_FINGERPRINT,
    "eval_dataset": keys.TAG_EVAL_DATASET,
    "eval_fingerprint": keys.TAG_EVAL_FINGERPRINT,
    "base_model": keys.TAG_BASE_MODEL,
    "base_model_digest": keys.TAG_BASE_DIGEST,
    "encoder_digest": keys.TAG_ENCODER_DIGEST,
    "config_hash": keys.TAG_CONFIG_HASH,
    "code_revision": keys.TAG_REVISION,
}
_SIZE_TAGS = {
    "train_limit": keys.TAG_TRAIN_LIMIT,
    "eval_limit": keys.TAG_EVAL_LIMIT,
    "dev_limit": keys.TAG_DEV_LIMIT,
    "probe_steps": keys.TAG_PROBE_STEPS,
}
SIZES: typing.Final = tuple(_SIZE_TAGS)
"""Fields that hold the sizes of a run."""
TAG_FIELDS: typing.Final[Mapping[str, tuple[str, Callable[[str | None], typing.Any]]]] = {
    **{field: (tag, lambda text: text or "") for field, tag in _TEXT_TAGS.items()},
    "seed": (keys.TAG_SEED, lambda text: int(text or "0")),
    "complete": (keys.TAG_COMPLETE, lambda text: text == "true"),
    "failure": (keys.TAG_FAILURE, lambda text: text),
    "row_sketch": (keys.TAG_ROW_SKETCH, lambda text: split_sketch(text or "")),
    "method": (keys.TAG_METHOD, lambda text: text or "lora"),
    **{field: (tag, lambda text: None if text is None else int(text)) for field, tag in _SIZE_TAGS.items()},
}
"""Field of a record → the tag that holds it, and what the tag's text (None without the tag) means."""
METRIC_FIELDS: typing.Final = {"probe": keys.PROBE, "scores": keys.SCORE, "costs": keys.COST}
"""Field of a record → prefix of the metrics that it holds. Metrics with no such prefix never enter a record."""


@dataclass(frozen=True)
class Encoded:
    """A record in MLflow's three kinds of values."""

    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


def encode(record: RunRecord) -> Encoded:
    """The run's params, metrics and tags; its id, status and start time belong to MLflow.

    Raises:
        SchemaError: a metric is infinite, which MLflow would hand back as 1.8e308.
    """
    metrics: dict[str, float] = {}
    for field, prefix in METRIC_FIELDS.items():
        for name, value in getattr(record, field).items():
            if math.isinf(value):
                raise SchemaError(
                    f"{prefix}{name} is {value}",
                    rule="metrics are finite, or NaN for 'not defined for this dataset'",
                    fix="make the measure return NaN where it is not defined",
                )
            metrics[prefix + name] = float(value)
    tags = {tag: getattr(record, field) for field, tag in _TEXT_TAGS.items() if getattr(record, field)}
    tags[keys.TAG_SCHEMA] = str(keys.SCHEMA_VERSION)
    tags[keys.TAG_SEED] = str(record.seed)
    tags[keys.TAG_METHOD] = record.method
    sizes = {tag: getattr(record, field) for field, tag in _SIZE_TAGS.items()}
    tags |= {tag: str(size) for tag, size in sizes.items() if size is not None}
    if record.row_sketch:
        tags[keys.TAG_ROW_SKETCH] = "".join(record.row_sketch)
    if record.complete:
        tags[keys.TAG_COMPLETE] = "true"
    if record.failure:
        tags[keys.TAG_FAILURE] = record.failure
    params = {keys.HP + name: _to_text(value) for name, value in record.hp.items()}
    return Encoded(params, metrics, tags)


def decode(
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    *,
    run_id: str = "",
    status: str = "RUNNING",
    start_time: int = 0,
) -> RunRecord:
    """The record of a run of ours.

    Raises:
        SchemaError: the run carries no schema version, or one that this package does not know.
    """
    check_version(tags.get(keys.TAG_SCHEMA), run_id)
    fields: dict[str, typing.Any] = {field: meaning(tags.get(tag)) for field, (tag, meaning) in TAG_FIELDS.items()}
    for field, prefix in METRIC_FIELDS.items():
        fields[field] = {key.removeprefix(prefix): value for key, value in metrics.items() if key.startswith(prefix)}
    return RunRecord(run_id=run_id, status=status, start_time=start_time, hp=decode_hp(params), **fields)


def check_version(version: str | None, run_id: str) -> None:
    """Let a run pass whose schema version is this package's.

    Raises:
        SchemaError: it is another one, or there is none.
    """
    if version != str(keys.SCHEMA_VERSION):
        raise SchemaError(
            f"run was written with schema version {version or '(none)'}",
            where=f"run {run_id or '(unnamed)'}, tag {keys.TAG_SCHEMA}",
            rule=f"this package reads schema version {keys.SCHEMA_VERSION}",
            fix="upgrade the package to the version that wrote the run, or use another tracking store",
        )


def split_sketch(text: str) -> tuple[str, ...]:
    """Row hashes, which a tag holds one after the other."""
    return tuple(_HASHES.findall(text))


def decode_hp(params: Mapping[str, str]) -> dict[str, HpValue]:
    """Hj from a run's params; bare names are not ours."""
    names = ((key.removeprefix(keys.HP), text) for key, text in params.items() if key.startswith(keys.HP))
    return {name: _from_text(text) for name, text in names}


def _to_text(value: HpValue) -> str:
    text = repr(value) if isinstance(value, float) else str(value)
    # A text that would be read back as something else is written with quotes.
    return json.dumps(value) if isinstance(value, str) and not _is_itself(value) else text


def _is_itself(text: str) -> bool:
    return _from_text(text) == text and isinstance(_from_text(text), str)


@lru_cache(maxsize=4096)
def _from_text(text: str) -> HpValue:
    """The value of the narrowest type that writes the same text."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if (repr(value) if kind is float else str(value)) == text:
            return typing.cast(HpValue, value)
    if text.startswith('"'):
        try:
            return typing.cast(HpValue, json.loads(text))
        except ValueError:
            return text
    return text == "True" if text in ("True", "False") else text

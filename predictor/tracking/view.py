"""A saved view of the MLflow UI that compares fine-tunes, stored as the UI itself stores one.

MLflow 3.17 keeps a view in one tag of the experiment, `mlflow.sharedViewState.<id>`: JSON with a name, two times and
the state, compressed, which is what the page remembers of its search, columns and charts. The menu "Views" of an
experiment's page lists these tags, and `?viewStateShareKey=<id>` opens one. Nothing else in MLflow reads them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any

from predictor.schema import RunRecord, keys
from predictor.schema.targets import TARGETS

VIEW_ID = "finetunes"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_ID}"
VIEW_NAME = "Fine-tunes compared"
_DEFLATED = "deflate;"
_HP = ("learning_rate", "lora_r", "batch_size", "epochs")
"""The hyperparameters that are varied most; the others are a click away."""
_WIDTHS = {"name": 290, "params": 85, "metrics": 100}
"""Pixels of columns: all but the last fit into a window of 1500."""
_NAME = "attributes.`Run Name`"
_SECTION = "predictor-finetunes"


_BESIDE = ("floor_", "parsed_")
"""Begin the names of scores that stand beside others."""


def score_names(record: RunRecord) -> list[str]:
    """What a fine-tune was scored by, its task's headline first, of which alone there is an early score.

    Numbers of questions, standard errors, and scores of one dimension or task of several are left out.
    """
    names = [name for name in record.scores if keys.SCORE + name != keys.SCORE_N and not name.endswith(keys.SE)]
    # Of a task with dimensions, or of several tasks, there are dozens: a page shows what is said of the whole.
    names = [name for name in names if "/" not in name and not name.startswith(_BESIDE)]
    return sorted(names, key=lambda name: f"early_{name}" not in record.probe)


def view_state(record: RunRecord) -> dict[str, Any]:
    """What the page shows: fine-tunes alone, the best first, with the columns and charts that compare them.

    Args:
        record: a scored fine-tune; the view shows the scores of its task.
    """
    headline, *others = score_names(record)
    score, early, predicted = (f"{prefix}{headline}" for prefix in (keys.SCORE, f"{keys.PROBE}early_", keys.PREDICTED))
    seconds = f"{keys.COST}total_s"
    params = [f"{keys.HP}{name}" for name in _HP if name in record.hp]
    metrics = [early, score, *(f"{keys.SCORE}{name}" for name in others), seconds, f"{score}{keys.SE}"]
    columns = [_column("params", key) for key in params] + [_column("metrics", key) for key in metrics]
    lower_first = headline in TARGETS and not TARGETS.get(headline).higher_is_better
    return {
        "searchFilter": f"tags.`{keys.TAG_KIND}` = '{keys.KIND_FINETUNE}'",
        # The page nests runs under their parents only where it sorts by date.
        "orderByKey": _column("metrics", score),
        "orderByAsc": lower_first,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": [_NAME, *columns],
        "columnWidths": {
            column: _WIDTHS["name" if column == _NAME else column.split(".")[0]] for column in [_NAME, *columns]
        },
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,
        "compareRunSections": [
            {
                "uuid": _SECTION,
                "name": "Fine-tunes",
                "display": True,
                "isReordered": True,
                "columns": 2,
                "cardHeight": 330,
            }
        ],
        "compareRunCharts": [
            _scatter(early, score),
            _scatter(predicted, score),
            _chart("PARALLEL", selectedParams=params[:2], selectedMetrics=[early, score, seconds], showAllRuns=True),
            _chart("BAR", metricKey=score),
            _chart("BAR", metricKey=seconds),
        ],
    }


def pack(state: Mapping[str, Any], now_ms: int) -> str:
    """The value of the tag, made now, in milliseconds since the epoch."""
    text = json.dumps(state, separators=(",", ":"), sort_keys=True)
    packed = _DEFLATED + base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return json.dumps({"name": VIEW_NAME, "createdAt": now_ms, "updatedAt": now_ms, "state": packed})


def unpack(value: str) -> dict[str, Any]:
    """The state in a tag's value.

    Raises:
        ValueError: the value is none that :func:`pack` makes.
    """
    try:
        packed = json.loads(value)["state"].removeprefix(_DEFLATED)
        state: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise ValueError(f"no saved view: {error}") from error
    return state


def _column(kind: str, key: str) -> str:
    return f"{kind}.`{key}`"


def _scatter(x: str, y: str) -> dict[str, Any]:
    return _chart("SCATTER", xaxis={"key": x, "type": "METRIC"}, yaxis={"key": y, "type": "METRIC"})


def _chart(kind: str, **settings: Any) -> dict[str, Any]:
    """A chart; its id follows from what it shows, so that the same view is the same text."""
    digest = hashlib.sha256(json.dumps([kind, settings], sort_keys=True).encode()).hexdigest()[:16]
    common = {"uuid": digest, "metricSectionId": _SECTION, "deleted": False, "isGenerated": False}
    return {"type": kind, "runsCountToCompare": 100, **common, **settings}

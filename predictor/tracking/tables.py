"""Tables that runs keep among their artifacts, read back."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

PREDICTIONS = "predictions.json"
_HITS = ("accuracy", "em")


def read_table(client: Any, run_id: str, name: str = PREDICTIONS) -> dict[str, list[Any]]:
    """Column → values of a table that a run has logged; empty when it has none.

    Raises:
        TrackingError: the store cannot be reached.
    """
    if all(each.path != name for each in client.list_artifacts(run_id)):
        return {}
    with tempfile.TemporaryDirectory(prefix="predictor-table-") as folder:
        path = Path(client.download_artifacts(run_id, name, folder))
        table = json.loads(path.read_text(encoding="utf-8"))
    rows = table["data"]
    return {column: [row[place] for row in rows] for place, column in enumerate(table["columns"])}


def read_hits(client: Any, run_id: str) -> list[float]:
    """1 for each scored row that a fine-tune got right and 0 for the others; none where its task counts no hits."""
    table = read_table(client, run_id)
    return next((table[name] for name in _HITS if name in table), [])

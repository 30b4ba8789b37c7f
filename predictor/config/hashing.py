"""Digests of values that are equal whenever the values are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical_hash(values: Mapping[str, Any]) -> str:
    """A 16-digit digest of a mapping of JSON values; equal mappings give equal digests in any key order."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

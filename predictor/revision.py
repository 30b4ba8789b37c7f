"""Which code made a result."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path


@functools.cache
def code_revision() -> str:
    """12 hex digits over the package's source files: it changes with every edit, committed or not."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]

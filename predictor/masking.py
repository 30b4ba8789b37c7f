"""Addresses without their passwords: nothing that is shown, logged, tagged or kept in a file may hold one."""

from __future__ import annotations

import re
import sys
import traceback
from types import TracebackType

_HIDDEN = "***"
_PATTERNS = (
    # To the last `@` of the word: a password that holds one itself should rather be hidden with too much beside it.
    (re.compile(r"([A-Za-z][\w+.-]*://[^\s:/@]*):\S*@"), rf"\1:{_HIDDEN}@"),
    # A token in the place of the user; the user of a database is no secret.
    (re.compile(r"(https?://)[^\s:/@?#]+@"), rf"\1{_HIDDEN}@"),
    # Databases also take passwords as options.
    (re.compile(r"([?&;]\w*(?:password|passwd|pwd|secret|token|key|odbc_connect)\w*=)[^&\s]+", re.I), rf"\1{_HIDDEN}"),
)


def masked(text: object) -> str:
    """A URI, or a text with URIs in it, with `***` in the place of each password. Masking twice changes nothing."""
    shown = str(text)
    for pattern, hidden in _PATTERNS:
        shown = pattern.sub(hidden, shown)
    return shown


def cause(error: BaseException) -> BaseException | None:
    """What stands behind `raise … from`: the error, or None when a password is in it or in its own cause.

    A printed traceback would show it.
    """
    link: BaseException | None = error
    while link is not None:
        if masked(link) != str(link):
            return None
        link = link.__cause__ or link.__context__
    return error


def install() -> None:
    """Print uncaught exceptions without passwords: the libraries' own messages hold whole addresses."""
    sys.excepthook = _print


def _print(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(masked("".join(traceback.format_exception(kind, error, trace))))

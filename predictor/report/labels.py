"""Names that users chose, as pages and figures can show them."""

from __future__ import annotations


def readable(name: str) -> str:
    """A name on one line, without what no file and no font can take.

    That is lone surrogates, as the name of a file that is not UTF-8 has them.
    """
    return " ".join(name.encode("utf-8", "replace").decode("utf-8").split())


def plain(name: str, most: int | None = None) -> str:
    r"""A name that a figure does not take for a formula.

    Matplotlib reads text between two `$` as a formula and fails where it is none; `\$` is a dollar sign.

    Args:
        most: characters; of a longer name the end is kept, which is where the names of files differ.
    """
    text = readable(name)
    if most is not None and len(text) > most:
        text = f"…{text[1 - most :]}"
    return text.replace("$", r"\$")

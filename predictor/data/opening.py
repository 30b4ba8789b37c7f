"""Opening a local file as UTF-8 bytes, whatever its compression, byte order mark or character set."""

from __future__ import annotations

import codecs
import errno
import gzip
import io
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from predictor.errors import DataError

PEEK = 1 << 20
"""Bytes from which a file's kind and character set are judged."""
BOMB_BYTES = 1 << 28
BOMB_RATIO = 200
"""A gzip that grows beyond `BOMB_BYTES` and `BOMB_RATIO` times its size is refused; JSON shrinks 20 times at most."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive", "unpack it and give the file inside"),
    (b"BZh", "a bzip2 archive", "unpack it, or compress it with gzip"),
    (b"\xfd7zXZ", "an xz archive", "unpack it, or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it, or compress it with gzip"),
    (b"%PDF", "a PDF", "give a data file"),
    (b"\x80\x04\x95", "a Python pickle", "pickles can run code and are never loaded: save the rows as JSON or Parquet"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV or JSON"),
)


class GuardedGzip(io.RawIOBase):
    """A gzip file that reads as bytes and refuses to unpack a bomb."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._packed = path.stat().st_size
        self._file = gzip.open(path, "rb")  # noqa: SIM115 - closed with this object
        self._unpacked = 0

    def readable(self) -> bool:
        """True: the buffered reader around it asks before it reads."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Unpack the next bytes into a buffer; 0 at the end.

        Raises:
            DataError: the file is damaged, or unpacks to a bomb.
        """
        try:
            data = self._file.read(len(buffer))
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(
                f"the gzip file is damaged after {self._unpacked} unpacked bytes: {error}",
                where=str(self._path),
                rule="a complete gzip file",
                fix="copy or download the file again",
            ) from None
        self._unpacked += len(data)
        if self._unpacked > BOMB_BYTES and self._unpacked > BOMB_RATIO * self._packed:
            raise DataError(
                f"the gzip file unpacks to more than {BOMB_RATIO} times its size ({self._packed} bytes)",
                where=str(self._path),
                rule=f"at most {BOMB_RATIO} times, once beyond {BOMB_BYTES >> 20} MiB",
                fix="if it is truly data, unpack it with gunzip and give the unpacked file",
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the gzip file with this object."""
        self._file.close()
        super().close()


class Recoded(io.RawIOBase):
    """A byte stream in another character set that reads as UTF-8."""

    def __init__(self, source: BinaryIO, encoding: str) -> None:
        self._source = source
        self._decode = codecs.getincrementaldecoder(encoding)("replace").decode
        self._rest = b""
        self._ended = False

    def readable(self) -> bool:
        """True: the buffered reader around it asks before it reads."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Put the next bytes into a buffer; what is not text in the character set becomes U+FFFD."""
        while not self._rest and not self._ended:
            chunk = self._source.read(1 << 16)
            self._ended = not chunk
            self._rest = self._decode(chunk, self._ended).encode("utf-8", "surrogatepass")
        part = self._rest[: len(buffer)]
        self._rest = self._rest[len(part) :]
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        """Close the stream with this object."""
        self._source.close()
        super().close()


def check_file(path: Path) -> None:
    """Raise DataError unless the path is a readable, ordinary, non-empty file."""
    try:
        status = path.stat()
    except OSError as error:
        reason = "a symbolic link that leads back to itself" if error.errno == errno.ELOOP else error.strerror
        raise DataError(
            f"the file cannot be opened: {reason}", where=str(path), rule="a readable file", fix="check the path"
        ) from None
    if stat.S_ISDIR(status.st_mode):
        raise DataError("a folder was given where a file is needed", where=str(path), fix="name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise DataError(
            "the path is a device or pipe",
            where=str(path),
            rule="an ordinary file",
            fix="save the rows to a file first",
        )
    if status.st_size == 0:
        raise DataError("the file is empty", where=str(path), rule="at least one row", fix="check how it was written")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise DataError(
            f"the file cannot be read: {error.strerror}", where=str(path), fix="check its permissions"
        ) from None


def is_gzip(path: Path) -> bool:
    """Whether a file begins as gzip does, whatever its name says."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def open_binary(path: Path) -> io.BufferedReader:
    """The unpacked bytes of a checked file."""
    raw = GuardedGzip(path) if is_gzip(path) else path.open("rb", buffering=0)
    return io.BufferedReader(raw, PEEK)  # type: ignore[arg-type]


def open_text(path: Path, note: Callable[[str], None]) -> io.BufferedReader:
    """The file as UTF-8 bytes without a byte order mark; another character set is recoded and noted.

    Raises:
        DataError: the file is not text (an archive, a pickle, an image), or its character set cannot be told.
    """
    file = open_binary(path)
    head = file.peek(PEEK)[:PEEK]
    if not head:
        raise DataError("the file is empty once unpacked", where=str(path), rule="at least one row")
    for magic, what, fix in _FOREIGN:
        if head.startswith(magic):
            raise DataError(f"the file is {what}", where=str(path), rule="JSON, CSV, Parquet or Arrow", fix=fix)
    encoding, skip = _encoding(head, path)
    if encoding == "utf-8":
        file.read(skip)
        return file
    note(f"the file is in {encoding}, not UTF-8; it was recoded")
    file.read(skip)
    return io.BufferedReader(Recoded(file, encoding), PEEK)  # type: ignore[arg-type]


def _encoding(head: bytes, path: Path) -> tuple[str, int]:
    """The character set of a file and the length of its byte order mark."""
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding, len(bom)
    even, odd = head[0:4096:2].count(0), head[1:4096:2].count(0)
    if 4 * max(even, odd) > len(head[:4096]) and 8 * min(even, odd) < max(even, odd):
        # Null bytes at every second place are UTF-16 without a mark.
        return ("utf-16-le" if odd > even else "utf-16-be"), 0
    if mostly_utf8(head):
        return "utf-8", 0
    from charset_normalizer import from_bytes

    best = from_bytes(head[: 1 << 16]).best()
    if best is None or _binary_share(head) > 0.05:
        raise DataError(
            "the file is not text in any character set that could be recognised",
            where=str(path),
            rule="JSON, CSV or TSV text (UTF-8 preferred), Parquet, or Arrow",
            fix="save it as UTF-8; if it is an archive, unpack it first",
        )
    return best.encoding, 0


def mostly_utf8(head: bytes) -> bool:
    """Whether bytes are UTF-8 up to rare damage (which is then refused row by row, not recoded)."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(head, False)
    damaged = text.count("�") - head.count(b"\xef\xbf\xbd")
    if damaged <= 0:
        return True
    wide = sum(1 for character in text[:200_000] if character > "\x7f")
    return wide > 10 * damaged


def _binary_share(head: bytes) -> float:
    sample = head[:4096]
    return sum(byte < 9 or 13 < byte < 32 for byte in sample) / max(1, len(sample))

"""Preparing a dataset: read, validate, check and split a source, and write what is accepted and what is refused."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from predictor.config import Expression
from predictor.data.detect import FORMATS
from predictor.data.example import Example
from predictor.data.held import files_by_split, open_split
from predictor.data.preflight import Preflight, Thresholds
from predictor.data.preflight.thresholds import failures
from predictor.data.rejection import Rejection
from predictor.data.rows import encode_row, write_rows
from predictor.data.sources import TEST, TRAIN, VALIDATION, DataFile
from predictor.data.stream import Accepts, Stream, nothing_usable
from predictor.data.validation import GroupLedger, choose_validation
from predictor.data.writing import unwritable, write_json
from predictor.errors import DataError
from predictor.files import folder_beside, to_disk

REJECTED, REPORT, PAGE = "rejected.jsonl", "report.json", "report.html"
OUTPUTS = (TRAIN, VALIDATION, TEST)
_KEPT_EXAMPLES = 3
_TOLD_ROWS = 1000


@dataclass(frozen=True)
class Settings:
    """How a dataset is prepared.

    Attributes:
        format: a dataset format, or `auto`. drop_bad: go on although rows are refused.
        validation_fraction: share of the training rows that becomes the validation split, unless the source has one.
        seed: draws the validation split. suffix: `.jsonl` or `.parquet`.
        accepts: what a chosen task needs of a row.
    """

    format: str = "auto"
    drop_bad: bool = False
    validation_fraction: float = 0.15
    seed: int = 42
    suffix: str = ".jsonl"
    accepts: Accepts | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True)
class Prepared:
    """The result: the report as written, and why the data were withheld (empty when they were written)."""

    report: dict[str, Any]
    faults: tuple[str, ...]


def prepare(
    source: str | Path | Expression,
    output: Path,
    settings: Settings,
    preflight: Preflight | None = None,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> Prepared:
    """Read a source in one pass and bounded memory, and write DIR/{train,validation,test}, rejected.jsonl, report.json.

    An expression is made in memory first.

    Rows go to files beside the output folder first. When rows are refused (and `drop_bad` is false) or pre-flight
    fails, the report and the refused rows are written, the data are not.

    Args:
        on_rows: told now and then how many more rows have been read.

    Raises:
        DataError: the source cannot be read, no row is accepted, or the output cannot be written.
    """
    try:
        with folder_beside(output) as aside:
            return _Preparation(source, aside, settings, preflight, on_rows).run(output)
    except OSError as error:
        raise unwritable(output, error) from None


class _Preparation:
    def __init__(
        self,
        source: str | Path | Expression,
        aside: Path,
        settings: Settings,
        preflight: Preflight | None,
        on_rows: Callable[[int], None],
    ) -> None:
        self.source, self.aside, self.settings, self.preflight = source, aside, settings, preflight
        self.on_rows = on_rows
        self.ledger = GroupLedger()
        self.codes: Counter[str] = Counter()
        self.rejections: list[Rejection] = []

    def run(self, output: Path) -> Prepared:
        files = files_by_split(self.source)
        _keep_apart([file for of_split in files.values() for file in of_split], output)
        held = [split for split in OUTPUTS if split in files]
        streams: dict[str, Stream] = {}
        with (self.aside / REJECTED).open("w", encoding="utf-8") as rejected:
            for split in held:
                stream = open_split(
                    self.source,
                    files[split],
                    streams[held[0]].format if streams else self.settings.format,
                    self.settings.accepts,
                )
                streams[split] = stream
                self._spool(stream, split, rejected)
            to_disk(rejected)
        accepted = sum(stream.accepted for stream in streams.values())
        if not accepted:
            raise nothing_usable(str(self.source), self.rejections, streams[held[0]])
        report = self._report(streams)
        faults = self._faults(report)
        report["complete"] = not faults
        report["faults"] = faults
        if not faults:
            report["outputs"] = self._write_data(held)
        _publish(self.aside, output, report)
        return Prepared(report, tuple(faults))

    def _spool(self, stream: Stream, split: str, rejected: IO[str]) -> None:
        """Accepted rows in their canonical form to a file aside, refused rows to rejected.jsonl."""
        with (self.aside / f"{split}.rows").open("w", encoding="utf-8", buffering=1 << 20) as spool:
            for row in FORMATS.get(stream.format).rows(self._accepted(stream, split, rejected)):
                spool.write(encode_row(row) + "\n")
            to_disk(spool)
        self.codes.update(stream.codes)

    def _accepted(self, stream: Stream, split: str, rejected: IO[str]) -> Iterator[Example]:
        ledger, preflight = self.ledger, self.preflight
        for number, (outcome, digits) in enumerate(stream, 1):
            if number % _TOLD_ROWS == 0:
                self.on_rows(_TOLD_ROWS)
            if isinstance(outcome, Rejection):
                rejected.write(json.dumps({**outcome.as_json(), "split": split}, ensure_ascii=True) + "\n")
                if len(self.rejections) < _KEPT_EXAMPLES:
                    self.rejections.append(outcome)
                continue
            if split == TRAIN:
                group = ledger.add(outcome, digits)
                if preflight is not None:
                    preflight.add(outcome, digits, group)
            yield outcome

    def _report(self, streams: Mapping[str, Stream]) -> dict[str, Any]:
        first = next(iter(streams.values()))
        figures = self.preflight.figures() if self.preflight is not None else None
        return {
            "source": str(self.source),
            "format": first.format,
            "format_reason": first.format_reason,
            "rows": sum(stream.accepted + stream.rejected for stream in streams.values()),
            "accepted": sum(stream.accepted for stream in streams.values()),
            "rejected": sum(stream.rejected for stream in streams.values()),
            "rejected_by_code": dict(self.codes.most_common()),
            "first_rejections": [rejection.describe() for rejection in self.rejections],
            "read": {
                split: {"rows": stream.accepted + stream.rejected, "accepted": stream.accepted}
                for split, stream in streams.items()
            },
            "fingerprint": first.fingerprint.digest,
            "row_sketch": list(first.fingerprint.sketch),
            "notes": [note for stream in streams.values() for note in stream.notes],
            "preflight": figures,
        }

    def _faults(self, report: Mapping[str, Any]) -> list[str]:
        faults = []
        if self.codes and not self.settings.drop_bad:
            counts = ", ".join(f"{count} {code}" for code, count in self.codes.most_common())
            faults.append(f"{report['rejected']} of {report['rows']} rows are refused: {counts}")
        if report["preflight"] is not None:
            faults += failures(report["preflight"], self.settings.thresholds)
        return faults

    def _write_data(self, held: list[str]) -> dict[str, Any]:
        """The data files from the spooled rows; returns file name → rows."""
        split_train = TRAIN in held and VALIDATION not in held
        fraction = self.settings.validation_fraction if split_train else 0.0
        merged = self.preflight.merged_groups() if self.preflight is not None else None
        aside_rows = choose_validation(self.ledger, fraction, self.settings.seed, merged)
        outputs: dict[str, Any] = {}
        for split in OUTPUTS:
            if split in held and (split != TRAIN or not aside_rows.any()):
                lines = self._lines(split)
            elif split == TRAIN and split in held:
                lines = self._lines(TRAIN, ~aside_rows)
            elif split == VALIDATION and aside_rows.any():
                lines = self._lines(TRAIN, aside_rows)
            else:
                continue
            name = split + self.settings.suffix
            outputs[name] = self._write(self.aside / name, lines)
        return outputs

    def _lines(self, split: str, chosen: Any = None) -> Iterator[bytes]:
        with (self.aside / f"{split}.rows").open("rb") as spool:
            if chosen is None:
                yield from spool
            else:
                yield from (line for line, wanted in zip(spool, chosen.tolist(), strict=True) if wanted)

    def _write(self, path: Path, lines: Iterator[bytes]) -> int:
        if path.suffix == ".parquet":
            return write_rows(path, map(json.loads, lines))
        count = 0
        with path.open("wb", buffering=1 << 20) as file:
            for line in lines:
                file.write(line)
                count += 1
            to_disk(file)
        return count


def _keep_apart(files: list[DataFile], output: Path) -> None:
    for file in files:
        if file.path.resolve().parent == output.resolve() and file.path.stem in (*OUTPUTS, "rejected", "report"):
            raise DataError(
                "the output would overwrite the input",
                where=str(file.path),
                rule="an output folder of its own",
                fix="name another output",
            )


def _publish(aside: Path, output: Path, report: Mapping[str, Any]) -> None:
    """Move the finished files into the output folder. The report goes last: where it stands, all is there."""
    from predictor.data.page import write_page

    if output.exists() and not output.is_dir():
        raise DataError("the output is a file", where=str(output), rule="a folder", fix="name another output")
    output.mkdir(parents=True, exist_ok=True)
    write_page(aside / PAGE, report)
    write_json(aside / REPORT, report)
    data = [f"{split}{suffix}" for split in OUTPUTS for suffix in (".jsonl", ".parquet")]
    for name in (REPORT, PAGE, REJECTED, *data):
        with suppress(FileNotFoundError):
            (output / name).unlink()  # results of an earlier run
    for name in (REJECTED, *report.get("outputs", {}), PAGE, REPORT):
        os.replace(aside / name, output / name)

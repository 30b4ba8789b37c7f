"""Opening any source as a stream: a file is read as it goes, an expression is made in memory first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from predictor.config import Expression
from predictor.data.detect import FORMATS
from predictor.data.example import Example
from predictor.data.fingerprint import Fingerprint
from predictor.data.formats.base import Outcome
from predictor.data.loading import Dataset, expression_of, load
from predictor.data.rejection import Rejection, refused_example
from predictor.data.sources import TRAIN, DataFile
from predictor.data.stream import Accepts, Stream, open_stream, source_files


class Held(Stream):
    """The rows of a dataset in memory, as a stream of a source.

    Args:
        accepts: what a chosen task needs of a row.
        written: refuse rows that the dataset's own format cannot write any more, such as a score in a sentence.
    """

    def __init__(self, dataset: Dataset, accepts: Accepts | None = None, *, written: bool = False) -> None:
        self.source, self.format, self.format_reason = dataset.source, dataset.format, dataset.format_reason
        self.accepted = self.rejected = 0
        self.codes: Counter[str] = Counter()
        self.notes = list(dataset.notes)
        self.fingerprint = Fingerprint()
        self._dataset = dataset
        self._accepts = accepts
        self._lacks = FORMATS.get(dataset.format).lacks if written else None

    def __iter__(self) -> Iterator[tuple[Outcome, str]]:
        """Each row with its row hash; the hash of a refused row is empty."""
        for rejection in self._dataset.rejections:
            yield self._refusal(rejection)
        for example in self._dataset.examples:
            if self._lacks is not None and (lack := self._lacks(example)) is not None:
                yield self._refused(example, "not_convertible", lack)
            elif self._accepts is not None and (lack := self._accepts(example)) is not None:
                yield self._refused(example, "not_for_task", lack)
            else:
                self.accepted += 1
                yield example, self.fingerprint.add(example)

    def _refused(self, example: Example, code: str, lack: str) -> tuple[Rejection, str]:
        expected = "what the format can write" if code == "not_convertible" else "a row that the task can use"
        return self._refusal(refused_example(example, self.source, code, expected, lack))


def open_any(source: str | Path | Expression, format: str = "auto") -> Stream:
    """The training rows of a file, folder, hub id or expression as a stream. Errors as `load`."""
    expression = expression_of(source)
    if expression is None:
        return open_stream(str(source), format=format)
    return Held(load(expression, format=format, drop_bad=True))


def files_by_split(source: str | Path | Expression) -> dict[str, list[DataFile]]:
    """The files of a source by split; of an expression, whose rows are all for training, those that it reads."""
    expression = expression_of(source)
    if expression is not None:
        return {TRAIN: [file for leaf in expression.leaves for file in source_files(leaf)]}
    files: dict[str, list[DataFile]] = {}
    for file in source_files(str(source)):
        files.setdefault(file.split, []).append(file)
    return files


def open_split(source: str | Path | Expression, files: list[DataFile], format: str, accepts: Accepts | None) -> Stream:
    """The rows of one split of a source, as :func:`files_by_split` gives its files."""
    expression = expression_of(source)
    if expression is None:
        return Stream(files, str(source), format, accepts)
    return Held(load(expression, format=format, drop_bad=True), accepts, written=True)

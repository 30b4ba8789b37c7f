"""A dataset from one format into another, exact where both can hold the content."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.convert import ConvertConfig
from predictor.progress import Progress

CONFIG = ConvertConfig


def run(config: ConvertConfig, progress: Progress) -> None:
    from predictor.flows.convert import convert

    done = convert(config, progress)
    print(f"written   {config.output}: {done.written} rows, {done.source_format} to {done.format}")
    for note in done.notes:
        print(f"note      {note}")
    for code, count in done.rejected.items():
        print(f"refused   {count} {code}")
    for name, count in done.changed.items():
        print(f"changed   {name} in {count} rows: {done.format} has no place for all of it")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))

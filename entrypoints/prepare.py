"""Any dataset file in, every row accounted for: validated, checked, split and written in one canonical form."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.prepare import PrepareConfig
from predictor.progress import Progress

CONFIG = PrepareConfig


def run(config: PrepareConfig, progress: Progress) -> None:
    from predictor.flows.prepare import prepare

    report = prepare(config, progress).report
    print(f"format    {report['format']} ({report['format_reason']})")
    print(f"rows      {report['rows']} = {report['accepted']} accepted + {report['rejected']} refused")
    for code, count in report["rejected_by_code"].items():
        print(f"refused   {count} {code}")
    for note in report["notes"]:
        print(f"note      {note}")
    for name, rows in report["outputs"].items():
        print(f"written   {config.output.rstrip('/')}/{name}: {rows} rows")
    print(f"report    {config.output.rstrip('/')}/report.html")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))

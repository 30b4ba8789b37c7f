from __future__ import annotations

import numpy as np
import pytest

from predictor.meta.interval import coverage
from predictor.report.coverage import COVERAGE_HEAD, coverage_rows
from predictor.report.page import Page
from predictor.schema.targets import Target

SHARE = Target("share", "", low=0.0, high=1.0)


def _errors() -> tuple[np.ndarray, np.ndarray]:
    """Twenty groups of four rows; those of `bad` are all too high, two of `half` are."""
    rng = np.random.default_rng(0)
    groups = np.repeat([*(f"g{k:02d}" for k in range(18)), "bad", "half"], 4)
    errors = rng.normal(scale=0.02, size=80)
    errors[groups == "bad"] = 0.5
    errors[groups == "half"] = [0.0, 0.01, -0.3, -0.31]
    return errors, groups


def test_the_worst_covered_groups_stand_first() -> None:
    errors, groups = _errors()
    rows = coverage_rows(errors, groups, SHARE, {"bad": "lab:bad"})
    assert len(rows) == 20
    assert rows[0] == ["lab:bad", "4", "0 %", "+50.0"]
    assert rows[1] == ["half", "4", "50 %", "-15.0"]
    assert all(len(row) == len(COVERAGE_HEAD) for row in rows)


def test_shares_add_up_to_the_coverage_of_all_rows() -> None:
    errors, groups = _errors()
    rows = coverage_rows(errors, groups, SHARE)
    total = sum(int(size) * float(share.removesuffix(" %")) / 100 for _, size, share, _ in rows)
    assert total == pytest.approx(coverage(errors, groups).sum(), abs=0.5)


def test_many_groups_are_summed_up() -> None:
    errors, groups = _errors()
    rows = coverage_rows(errors, groups, SHARE, shown=2)
    assert [row[0] for row in rows] == ["bad", "half", "18 other groups"]
    assert rows[2][1] == "72"


def test_one_group_and_odd_names_are_no_fault() -> None:
    rows = coverage_rows(np.zeros(3), np.array(["a", "a", "a"], dtype=object), SHARE, {"a": "<b>\udce9$\\frac"})
    assert rows == [["<b>?$\\frac", "3", "100 %", "+0.0"]]
    page = Page("coverage")
    page.table(COVERAGE_HEAD, rows)
    assert "&lt;b&gt;" in page.render()
    page.render().encode()

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import predictor.tasks  # noqa: F401 - declares the targets
from predictor.errors import ConfigError, TableError
from predictor.schema.targets import TARGETS
from predictor.table import from_file


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "language": [f"l{i % 6}" for i in range(30)],
            "domain": [f"d{i % 3}" for i in range(30)],
            "size": rng.integers(1, 100, 30),
            "kind": ["a", "b", "c"] * 10,
            "name": [f"row {i}" for i in range(30)],
            "other_score": rng.normal(size=30),
            "empty": np.nan,
            "score": rng.normal(size=30),
        }
    )
    frame.loc[4, "score"] = np.nan
    path = tmp_path / "results.csv"
    frame.to_csv(path, index=False)
    frame.to_parquet(tmp_path / "results.parquet")
    return path


def test_columns_are_chosen_and_every_refusal_has_a_reason(csv: Path) -> None:
    table = from_file(csv, target="score", group="language,domain", exclude="^other")
    assert table.schema.names == ("size", "kind")
    assert table.schema.categorical == (1,)
    assert table.dropped == {
        "name": "text that names rows",
        "other_score": "matched by exclude",
        "empty": "empty in every row",
    }
    assert table.skipped == {"score is missing or not a finite number": 1}
    assert len(table) == 29
    assert list(table.groups) == ["language", "domain"]
    assert table.headline_group == "language"
    assert len(set(table.group)) == 6


def test_parquet_gives_the_same_table(csv: Path) -> None:
    one = from_file(csv, target="score", group="language", features="size|other")
    two = from_file(csv.with_suffix(".parquet"), target="score", group="language", features="size|other")
    assert one.schema.names == ("size", "other_score")
    assert one.digest == two.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "scor"}, "no column 'scor'"),
        ({"group": "langage"}, "did you mean 'language'"),
        ({"group": ""}, "no group column"),
        ({"features": "("}, "no regular expression"),
        ({"features": "nothing like it"}, "no column is left as a feature"),
    ],
)
def test_faults_are_named(csv: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(TableError) as caught:
        from_file(csv, **{"target": "score", "group": "language", **changes})
    assert message in str(caught.value)


def test_the_unit_is_what_the_user_says_and_is_not_guessed_from_the_values(tmp_path: Path) -> None:
    path = tmp_path / "shares.csv"
    scores = np.linspace(0.1, 0.9, 12)
    pd.DataFrame({"g": list("abcd") * 3, "x": range(12), "acc": scores, "score/f1": scores}).to_csv(path, index=False)
    plain = from_file(path, target="acc", group="g")
    assert (plain.target.unit, plain.target.point, plain.target.low, plain.target.sign) == ("", 1.0, None, 1.0)
    share = from_file(path, target="acc", group="g", unit="fraction", direction="lower")
    assert (share.target.point, share.target.low, share.target.high, share.target.sign) == (0.01, 0.0, 1.0, -1.0)
    assert share.digest == plain.digest
    assert (share.column, share.target.name) == ("acc", "acc")
    # A column that is called as a task's score is that score, unless the user says otherwise.
    assert from_file(path, target="score/f1", group="g").target == TARGETS.get("f1")
    assert from_file(path, target="score/f1", group="g", unit="points").target.unit == "points"
    with pytest.raises(ConfigError, match="direction='down' is unknown"):
        from_file(path, target="acc", group="g", direction="down")


def test_a_fraction_outside_its_bounds_is_refused(csv: Path) -> None:
    with pytest.raises(TableError, match=r"score is \S+ in one of \d+ such rows") as caught:
        from_file(csv, target="score", group="language", unit="fraction")
    assert "score, a fraction, is in [0, 1]" in str(caught.value)
    assert "-P unit=points" in str(caught.value)


def test_a_file_that_is_absent_or_no_table(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such file"):
        from_file(tmp_path / "none.csv", target="a", group="b")
    other = tmp_path / "a.xlsx"
    other.write_text("")
    with pytest.raises(TableError, match=r"'\.xlsx' is no table"):
        from_file(other, target="a", group="b")
    empty = tmp_path / "a.csv"
    empty.write_text("")
    with pytest.raises(TableError, match="cannot be read as a table"):
        from_file(empty, target="a", group="b")

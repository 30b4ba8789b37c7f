"""Names of datasets: what is an expression, how it is written, and what is said about one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from predictor.config import Expression, parse_name, shortened, split_names
from predictor.errors import ConfigError
from predictor.schema.families import family_of


def test_an_expression_says_operator_way_options_and_what_it_is_made_of():
    spoilt = parse_name("spoil:wrong_answers:dial=0.5:seed=2:data/train.json")
    assert isinstance(spoilt, Expression)
    assert (spoilt.operator, spoilt.how, spoilt.parts) == ("spoil", "wrong_answers", ("data/train.json",))
    assert spoilt.options == (("dial", "0.5"), ("seed", "2"))
    cut = parse_name("slice:rows=0-63:lab:size:dial=64:seed=1")
    assert isinstance(cut, Expression)
    assert (cut.options, cut.parts) == ((("rows", "0-63"),), ("lab:size:dial=64:seed=1",))
    mixed = parse_name("mix:size=8:0.7:a.json,0.3:spoil:wide_answers:b.json")
    assert isinstance(mixed, Expression)
    assert (mixed.weights, mixed.options, mixed.leaves) == (("0.7", "0.3"), (("size", "8"),), ("a.json", "b.json"))
    assert isinstance(mixed.parts[1], Expression)


def test_brackets_hold_a_mixture_inside_a_mixture_together():
    inner = "mix:1:b.json,1:c.json"
    mixed = parse_name(f"mix:1:a.json,1:({inner})")
    assert isinstance(mixed, Expression)
    assert mixed.parts == ("a.json", parse_name(inner))
    assert parse_name(f"({inner})") == parse_name(inner)
    last = parse_name(f"spoil:wide_answers:{inner}")
    assert isinstance(last, Expression)
    assert last.parts == (parse_name(inner),)


@pytest.mark.parametrize(
    "name", ["data/train.json", "lab:size:dial=8", "org/name", "a (1).json", "(1).json", "C:data.json", "a,b.json", ""]
)
def test_other_names_are_names(name: str):
    assert parse_name(name) == name


def test_a_file_that_exists_is_a_name_whatever_it_looks_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mix:a", "spoil:wrong_answers:x.json", "rows=1.json", "(held).json"):
        (tmp_path / name).touch()
    assert parse_name("mix:a") == "mix:a"
    assert parse_name("spoil:wrong_answers:x.json") == "spoil:wrong_answers:x.json"
    cut = parse_name("slice:rows=0-1:rows=1.json")
    assert isinstance(cut, Expression)
    assert cut.parts == ("rows=1.json",)
    cut = parse_name("slice:rows=0-1:(absent=1.json)")
    assert isinstance(cut, Expression)
    assert cut.parts == ("absent=1.json",)


@pytest.mark.parametrize(
    ("name", "what", "fix"),
    [
        ("spiol:wrong_answers:a.json", "unknown operator 'spiol'", "did you mean 'spoil'?"),
        ("slices:rows=0-3:a.json", "unknown operator 'slices'", "did you mean 'slice'?"),
        ("spoil:wrong_answers", "spoil names no dataset", "end with the dataset"),
        ("slice:rows=0-3", "slice names no dataset", "in brackets"),
        ("mix:0.7:a.json", "a mixture needs two parts at least", "write the mixture in brackets"),
        ("mix:0.7:a.json,b.json", "the part 'b.json' of a mixture is no WEIGHT:DATASET", "mix:0.7:A,0.3:B"),
        ("mix:0.7:(mix:1:a,1:b,0.3:c", "brackets do not close", "mix:0.7:A"),
        ("slice:rows=0-3:" * 18 + "a.json", "operators are nested too deeply", None),
    ],
)
def test_an_expression_that_is_none_is_refused_with_its_place_and_a_rule(name: str, what: str, fix: str | None):
    with pytest.raises(ConfigError) as caught:
        parse_name(name)
    assert what in caught.value.what
    assert caught.value.where
    assert caught.value.rule
    assert fix is None or fix in (caught.value.fix or "")


def test_an_expression_is_written_again_over_other_datasets():
    for name in ("mix:size=4:1:a.json,2:(mix:1:b,1:spoil:wide_answers:dial=0.5:c)", "slice:size=4:seed=2:d"):
        parsed = parse_name(name)
        assert isinstance(parsed, Expression)
        assert parsed.written == name
    mixed = parse_name("mix:1:a,1:b")
    assert isinstance(mixed, Expression)
    other = mixed.with_leaves(lambda leaf: f"{leaf},1.json")
    assert (other.written, other.text) == ("mix:1:(a,1.json),1:(b,1.json)", "mix:1:a,1:b")
    assert parse_name(other.written) == parse_name("mix:1:(a,1.json),1:(b,1.json)")


def test_short_names_leave_out_the_folders_and_nothing_else():
    assert shortened("data/train.json") == "train.json"
    assert shortened("spoil:wide_answers:dial=0.5:data/x/train.json") == "spoil:wide_answers:dial=0.5:train.json"
    assert shortened("mix:1:a/b.json,2:c/d.json") == "mix:1:b.json,2:d.json"
    assert shortened("mix:no/expression") == "expression"


def test_a_list_of_names_is_split_at_commas_outside_brackets():
    assert split_names("a.json, (mix:1:b,1:c) ,d.json,") == ("a.json", "mix:1:b,1:c", "d.json")
    assert split_names("a(1.json,b.json") == ("a(1.json", "b.json")
    assert split_names("") == ()


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("lab:wide_answers:dial=1", "wide_answers"),
        ("data/train.json", ""),
        ("spoil:wrong_answers:dial=0.5:data/train.json", "spoil:wrong_answers"),
        ("spoil:wrong_answers:lab:size:dial=8", "spoil:wrong_answers"),
        ("mix:1:a,1:lab:size:dial=8", "mix"),
        ("slice:rows=0-3:data/train.json", ""),
        ("slice:rows=0-3:lab:size:dial=8", "size"),
        ("slice:rows=0-3:(spoil:wrong_answers:a)", "spoil:wrong_answers"),
        ("spoil:", ""),
    ],
)
def test_the_family_is_how_the_rows_were_made(name: str, family: str):
    assert family_of(name) == family

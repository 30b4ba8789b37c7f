from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Sequence

import numpy as np
import pytest

from predictor.data import Example, load
from predictor.meta.domain import Domain, learn
from predictor.probe import static_features
from predictor.runs import runs_path
from predictor.schema.archive import read_archive
from predictor.table import Table, build
from predictor.tasks import TASKS
from predictor.trial.sources import dataset_source


@pytest.fixture(scope="module")
def lab() -> Table:
    return build(read_archive(runs_path()).records, "score/exact_match")


@pytest.fixture(scope="module")
def lab_domain(lab: Table) -> Domain:
    return learn(lab.matrix, lab.group, 0, lab.schema.categorical)


def verdict(domain: Domain, names: Sequence[str], values: dict[str, float]) -> str:
    """The feature for which a row of these values alone is flagged, or nothing."""
    row = np.array([[values.get(name, np.nan) for name in names]])
    excess = domain.excess(row)[0]
    return names[int(excess.argmax())] if excess.max() > domain.limit else ""


def probed(examples: Sequence[Example]) -> dict[str, float]:
    return {f"probe/{name}": value for name, value in static_features(examples, TASKS.get("qa")).items()}


def chinese() -> list[Example]:
    """Two hundred questions on forty passages, about as long as those of published Chinese files."""
    sentences = (
        "黑豹队的防守只丢了 308 分，在联赛中排名第六。",
        "他们以 24 次拦截领先联赛，并有四人入选职业碗。",
        "这座城市建于 1827 年，位于两条大河的交汇处。",
        "博物馆收藏了三千多件瓷器，其中最早的来自宋代。",
        "科学家在 2011 年首次测得了这种粒子的质量。",
        "大学的图书馆向公众开放，每周六举办免费讲座。",
        "由于连年干旱，湖面的水位下降了将近两米。",
        "铁路于同年秋天通车，从此货物运输只需两天。",
        "作曲家在维也纳度过了晚年，写下最后一部交响曲。",
        "岛上的居民大多以捕鱼和种植咖啡为生。",
        "法院认为合同无效，要求双方退还已经支付的款项。",
        "新型疫苗在临床试验中表现良好，副作用也很少见。",
    )
    asked = ("丢了多少分？", "哪一年建成？", "最早的来自什么时候？", "水位为什么下降？", "居民靠什么为生？")
    draw = random.Random(0)
    rows = []
    for passage in range(40):
        context = "".join(draw.sample(sentences, 9))
        for question in asked:
            start = draw.randrange(len(context) - 6)
            answer = context[start : start + draw.randint(3, 6)]
            rows.append(Example(id=f"{passage}{question}", context=context, question=question, answers=(answer,)))
    return rows


def test_a_twentieth_of_the_groups_is_flagged_when_each_is_left_out(lab: Table) -> None:
    flagged = []
    for label in np.unique(lab.group.astype(str)):
        out = lab.group == label
        domain = learn(lab.matrix[~out], lab.group[~out], 0, lab.schema.categorical)
        flagged.append(bool((domain.excess(lab.matrix[out]) > domain.limit).any()))
    assert 0.02 <= np.mean(flagged) <= 0.08


@pytest.mark.parametrize(
    ("feature", "factor"),
    [("hp/learning_rate", 10.0), ("probe/initial_loss", 4.0), ("hp/epochs", 2.0), ("hp/batch_size", 2.5)],
)
def test_far_above_the_largest_is_flagged(lab: Table, lab_domain: Domain, feature: str, factor: float) -> None:
    seen = dict(lab.rows.iloc[0][[n for n in lab.schema.names if n not in ("hp/lr_scheduler", "hp/target_modules")]])
    largest = float(lab.rows[feature].max())
    assert verdict(lab_domain, lab.schema.names, seen) == ""
    assert verdict(lab_domain, lab.schema.names, {**seen, feature: 1.05 * largest}) == ""
    assert verdict(lab_domain, lab.schema.names, {**seen, feature: factor * largest}) == feature


def test_a_new_dataset_of_the_same_kind_is_not_flagged(lab: Table, lab_domain: Domain) -> None:
    assert (
        verdict(
            lab_domain,
            lab.schema.names,
            probed(load(dataset_source("lab:size:dial=256:seed=77"), drop_bad=True).examples),
        )
        == ""
    )


@pytest.mark.parametrize("every", [1, 2])
def test_a_file_of_empty_answers_is_flagged_for_them(lab: Table, lab_domain: Domain, every: int) -> None:
    rows = load(dataset_source("lab:size:dial=128:seed=77"), drop_bad=True).examples
    empty = [
        dataclasses.replace(row, answers=("",), answer_starts=(0,)) if number % every == 0 else row
        for number, row in enumerate(rows)
    ]
    assert verdict(lab_domain, lab.schema.names, probed(empty)) == "probe/empty_answer_rate"


def test_a_chinese_file_is_flagged_for_its_characters_or_lengths(lab: Table, lab_domain: Domain) -> None:
    named = verdict(lab_domain, lab.schema.names, probed(chinese()))
    assert named in ("probe/special_character_rate", "probe/minority_script_rate", "probe/prompt_length_mean")


def test_a_published_chinese_file_is_flagged(lab: Table, lab_domain: Domain, real_data) -> None:
    examples = load(dataset_source(str(real_data / "squad" / "xquad.zh.json")), drop_bad=True).examples
    assert verdict(lab_domain, lab.schema.names, probed(examples)) == "probe/special_character_rate"


def _cloud(groups: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(groups), 5)
    return rng.normal(size=(groups, d))[codes] + 0.3 * rng.normal(size=(len(codes), d)), codes


@pytest.mark.parametrize(("groups", "most"), [(8, 0.2), (12, 0.12), (40, 0.06)])
@pytest.mark.parametrize("heavy", [False, True])
def test_false_alarms_on_new_groups_of_seventy_two_features(groups: int, most: float, heavy: bool) -> None:
    alarms = []
    for seed in range(10):
        matrix, codes = _cloud(groups + 40, 72, seed)
        if heavy:
            matrix = np.exp(matrix)
        taught = codes < groups
        domain = learn(matrix[taught], codes[taught])
        outside = (domain.excess(matrix[~taught]) > domain.limit).any(axis=1)
        alarms.append(outside.reshape(40, 5).any(axis=1).mean())
    assert np.mean(alarms) <= most + 0.1 * heavy


def test_a_feature_that_hardly_varies_leaves_the_limits_of_others_alone() -> None:
    matrix, codes = _cloud(40, 6, 0)
    limits = []
    for rare in (0.0, 1e-6, 0.2):
        matrix[:, 5] = np.where(codes == 7, rare, 0.0)
        domain = learn(matrix, codes)
        limits.append(domain.limit * domain.upper.unit[:5] + domain.upper.end[:5])
    np.testing.assert_allclose(limits[1], limits[0], rtol=0.2)
    np.testing.assert_allclose(limits[2], limits[0], rtol=0.2)


def test_a_feature_that_was_always_the_same_is_flagged_when_it_is_another() -> None:
    matrix, codes = _cloud(20, 3, 0)
    matrix[:, 0], matrix[:, 1] = 1024.0, 0.0
    domain = learn(matrix, codes)
    names = ("max_length", "empty", "other")
    assert verdict(domain, names, {"max_length": 1024.0, "empty": 0.0}) == ""
    assert verdict(domain, names, {"max_length": 1030.0, "empty": 0.01}) == ""
    assert verdict(domain, names, {"max_length": 2048.0}) == "max_length"
    assert verdict(domain, names, {"max_length": 256.0}) == "max_length"
    assert verdict(domain, names, {"empty": 1.0}) == "empty"


def test_one_run_that_diverged_does_not_open_the_range_by_orders_of_magnitude(lab: Table, lab_domain: Domain) -> None:
    feature = "probe/gradient_norm_mean"
    column = lab.schema.names.index(feature)
    matrix = lab.matrix.copy()
    matrix[np.argmax(matrix[:, column]), column] = 1507.0
    diverged = learn(matrix, lab.group, 0, lab.schema.categorical)
    for domain in (lab_domain, diverged):
        assert verdict(domain, lab.schema.names, {feature: 2e5}) == feature


def test_zero_is_far_below_a_feature_that_spans_decades() -> None:
    rng = np.random.default_rng(0)
    rates = 10.0 ** rng.uniform(-4, -2, size=(60, 1))
    domain = learn(rates, np.arange(60))
    assert verdict(domain, ("rate",), {"rate": 0.0}) == "rate"
    assert verdict(domain, ("rate",), {"rate": 0.9 * rates.min()}) == ""
    assert np.isfinite(domain.excess(np.array([[0.0], [-1.0]]))).all()


def test_what_is_not_known_is_never_outside() -> None:
    matrix, codes = _cloud(12, 4, 0)
    matrix[:, 1] = np.nan
    matrix[codes > 2, 2] = np.nan
    domain = learn(matrix, codes)
    assert (domain.excess(np.full((2, 4), np.nan)) == 0.0).all()
    assert domain.excess(np.array([[0.0, 1e9, 0.0, 0.0]]))[0, 1] == 0.0
    alone = learn(matrix[:, :3], codes).upper
    assert alone.unit[2] > alone.unit[0], "three groups say less of where a range ends than twelve"


def test_codes_of_categories_have_no_range() -> None:
    matrix, codes = _cloud(30, 3, 0)
    limit = learn(matrix, codes).limit
    named = np.column_stack([matrix, codes])  # each group has a category of its own
    assert learn(named, codes, categorical=[3]).limit == pytest.approx(limit, rel=0.2)
    assert learn(named, codes, categorical=[3]).excess(np.array([[0.0, 0.0, 0.0, 99.0]])).max() == 0.0


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_few_groups_still_have_a_domain(groups: int) -> None:
    matrix, codes = _cloud(groups, 3, 0)
    domain = learn(matrix, codes)
    assert np.isfinite(domain.limit)
    assert (domain.excess(matrix) == 0.0).all()
    assert verdict(domain, "abc", {"a": 1e6}) == "a"


def test_a_domain_survives_json(lab: Table, lab_domain: Domain) -> None:
    again = Domain.from_json(json.loads(json.dumps(lab_domain.to_json(), allow_nan=False)))
    wide = np.vstack([lab.matrix * 3.0, lab.matrix - 1.0, np.full_like(lab.matrix[:1], np.nan)])
    np.testing.assert_array_equal(again.excess(wide), lab_domain.excess(wide))
    assert again.limit == lab_domain.limit
    assert again.share_below(0, 1e9) == lab_domain.share_below(0, 1e9)

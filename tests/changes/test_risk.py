"""Risk: the sum of what is shown, never lower for more reach, and words for every part."""

from __future__ import annotations

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.changes import risk
from tongchou.changes.models_control import RiskLevel
from tongchou.core.problems import Invalid

ANSWERS = st.fixed_dictionaries(
    {}, optional={each.name: st.sampled_from(sorted(each.answers)) for each in risk.QUESTIONS}
)
KINDS = st.sampled_from(["standard", "normal", "emergency"])
PAST = st.integers(0, 40).flatmap(lambda count: st.builds(risk.Past, st.just(count), st.integers(0, count)))
WORDS = st.lists(st.sampled_from(["critical", "high", "medium", "low", "odd"]), max_size=4)


@settings(max_examples=150)
@given(KINDS, ANSWERS, st.integers(0, 60), st.integers(0, 60), WORDS, PAST)
def test_the_level_is_the_sum_of_the_parts_that_are_shown(
    kind: str, answers: dict[str, str], touched: int, felt: int, words: list[str], past: risk.Past
) -> None:
    found = risk.assess(kind=kind, answers=answers, touched=touched, felt_by=felt, criticalities=words, past=past)
    assert found.points == sum(each["points"] for each in found.reasons)
    assert found.level == risk.level_of(found.points)
    more = risk.assess(
        kind=kind, answers=answers, touched=touched + 1, felt_by=felt + 1, criticalities=[*words, "critical"], past=past
    )
    assert more.points >= found.points
    for language in ("en", "zh-hans"):
        with translation.override(language):
            assert all(risk.in_words(each).strip() for each in found.reasons)


def test_bounds_of_the_levels() -> None:
    assert [risk.level_of(each) for each in (0, 5, 6, 11, 12, 40)] == [
        RiskLevel.LOW,
        RiskLevel.LOW,
        RiskLevel.MEDIUM,
        RiskLevel.MEDIUM,
        RiskLevel.HIGH,
        RiskLevel.HIGH,
    ]


def test_a_bad_past_weighs_more_than_none_and_none_more_than_a_good_one() -> None:
    def points(past: risk.Past) -> int:
        return risk.assess(kind="normal", answers={}, touched=1, felt_by=0, criticalities=[], past=past).points

    assert points(risk.Past(20, 10)) > points(risk.Past(2, 2)) > points(risk.Past(20, 20))


def test_an_answer_there_is_not_names_the_answers_there_are() -> None:
    with pytest.raises(Invalid) as caught:
        risk.check_answers({"tested": "perhaps"})
    assert (caught.value.field, caught.value.value) == ("answers.tested", "perhaps")
    assert "partly" in str(caught.value.remedy)
    assert risk.unanswered({"tested": "yes"}) == [each.name for each in risk.QUESTIONS if each.name != "tested"]


def test_one_resource_is_one() -> None:
    with translation.override("en"):
        assert risk.in_words({"code": "touched", "params": {"count": 1}}) == "1 resource is touched"
        assert risk.in_words({"code": "touched", "params": {"count": 2}}) == "2 resources are touched"

"""How risky a change is: points from answers, reach, criticality and the past, with the reason for each. Pure.

The sum is shown with its parts, so that anybody can add it up again; nothing else goes into the level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from tongchou.changes.models_control import ChangeKind, RiskLevel
from tongchou.core.problems import Invalid

MEDIUM_FROM, HIGH_FROM = 6, 12
LEAST_PAST = 5  # with fewer changes of its sort behind it, a success rate says nothing
BAD_SHARE, FAIR_SHARE = 0.80, 0.95
POINTS_OF_CRITICALITY = {"critical": 4, "high": 3, "medium": 1, "low": 0}


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the questionnaire; `answers`: word -> (what it reads like, points)."""

    name: str
    text: str | Promise
    answers: Mapping[str, tuple[str | Promise, int]]


QUESTIONS: tuple[Question, ...] = (
    Question(
        "interruption",
        _("Is the service interrupted while it is done?"),
        {"no": (_("no"), 0), "partly": (_("degraded"), 2), "yes": (_("interrupted"), 4)},
    ),
    Question(
        "tested",
        _("Was it tried somewhere else before?"),
        {"yes": (_("yes, the same steps"), 0), "partly": (_("in part"), 1), "no": (_("no"), 3)},
    ),
    Question(
        "backout",
        _("How long does it take to go back?"),
        {
            "minutes": (_("less than 15 minutes"), 0),
            "hour": (_("up to an hour"), 1),
            "longer": (_("longer"), 3),
            "never": (_("there is no way back"), 5),
        },
    ),
    Question(
        "experience",
        _("Has the team done this before?"),
        {"often": (_("often"), 0), "once": (_("once or twice"), 1), "never": (_("never"), 2)},
    ),
    Question(
        "data",
        _("Does it alter data or a schema?"),
        {"no": (_("no"), 0), "reversible": (_("yes, and it can be undone"), 2), "irreversible": (_("for good"), 4)},
    ),
    Question(
        "security",
        _("Does it touch access, keys, certificates or firewalls?"),
        {"no": (_("no"), 0), "yes": (_("yes"), 2)},
    ),
)
_BY_NAME = {each.name: each for each in QUESTIONS}


@dataclass(frozen=True, slots=True)
class Past:
    """Closed changes of the same kind and team lately, and how many of them were successful."""

    count: int
    successful: int


@dataclass(frozen=True, slots=True)
class Risk:
    """The level, the sum, and its parts as [{code, points, params}] in the order they were looked at."""

    level: RiskLevel
    points: int
    reasons: list[dict[str, Any]]


def check_answers(answers: Mapping[str, str]) -> dict[str, str]:
    """Return the answers; Invalid for a question or an answer that there is not."""
    for name, answer in answers.items():
        question = _BY_NAME.get(name)
        known = question.answers if question else _BY_NAME
        if question is None or answer not in known:
            raise Invalid(
                "change.answer",
                _("The questionnaire does not know this."),
                field=f"answers.{name[:40]}",
                value=str(answer)[:80],
                remedy=_("Use one of: %(words)s.") % {"words": ", ".join(known)},
            )
    return dict(answers)


def unanswered(answers: Mapping[str, str]) -> list[str]:
    """Return the questions without an answer, in order."""
    return [each.name for each in QUESTIONS if each.name not in answers]


def assess(
    *, kind: str, answers: Mapping[str, str], touched: int, felt_by: int, criticalities: Iterable[str], past: Past
) -> Risk:
    """Return the risk. `felt_by`: services beyond what is touched that need it; `criticalities`: of all of these."""
    found: list[tuple[str, int, dict[str, Any]]] = []
    for question in QUESTIONS:
        answer = answers.get(question.name, "")
        if answer in question.answers:
            found.append(("answer", question.answers[answer][1], {"question": question.name, "answer": answer}))
    found.append(("touched", _steps(touched, (1, 5, 20)), {"count": touched}))
    found.append(("felt_by", _steps(felt_by, (0, 2, 10, 30)), {"count": felt_by}))
    worst = max(criticalities, key=lambda each: POINTS_OF_CRITICALITY.get(each, 0), default="")
    if worst in POINTS_OF_CRITICALITY:
        found.append(("criticality", POINTS_OF_CRITICALITY[worst], {"criticality": worst}))
    found.append(_of_past(past))
    if kind == ChangeKind.EMERGENCY:
        found.append(("emergency", 2, {}))
    points = sum(each[1] for each in found)
    reasons = [{"code": code, "points": worth, "params": params} for code, worth, params in found]
    return Risk(level_of(points), points, reasons)


def level_of(points: int) -> RiskLevel:
    """Return the level of a sum."""
    if points >= HIGH_FROM:
        return RiskLevel.HIGH
    return RiskLevel.MEDIUM if points >= MEDIUM_FROM else RiskLevel.LOW


def _steps(count: int, above: Sequence[int]) -> int:
    """One point for each of the bounds that the count is above."""
    return sum(count > each for each in above)


def _of_past(past: Past) -> tuple[str, int, dict[str, Any]]:
    if past.count < LEAST_PAST:
        return "little_past", 1, {"count": past.count}
    share = past.successful / past.count
    points = 3 if share < BAD_SHARE else 1 if share < FAIR_SHARE else 0
    return "past", points, {"count": past.count, "successful": past.successful}


# --- in words -------------------------------------------------------------------------------------------------------

_WORDS: dict[str, str | Promise] = {
    "touched": ngettext_lazy("%(count)s resource is touched", "%(count)s resources are touched", "count"),
    "felt_by": ngettext_lazy(
        "%(count)s service beyond it may feel it", "%(count)s services beyond it may feel it", "count"
    ),
    "criticality": _("the most critical of them is %(criticality)s"),
    "little_past": _("only %(count)s changes of this kind and team are on record"),
    "past": _("%(successful)s of %(count)s changes of this kind and team were successful"),
    "emergency": _("an emergency leaves no time to look twice"),
}
_CRITICALITY: dict[str, str | Promise] = {
    "critical": _("critical"),
    "high": _("high"),
    "medium": _("medium"),
    "low": _("low"),
}


def in_words(reason: Mapping[str, Any]) -> str:
    """Return a part of the sum as a sentence in the language spoken now."""
    params = dict(reason.get("params", {}))
    if reason.get("code") == "answer":
        question = _BY_NAME.get(str(params.get("question")))
        if question is None or params.get("answer") not in question.answers:
            return str(params.get("answer", ""))
        return f"{question.text} {question.answers[params['answer']][0]}"
    if "criticality" in params:
        params["criticality"] = _CRITICALITY.get(params["criticality"], params["criticality"])
    return str(_WORDS.get(str(reason.get("code")), "") % params)

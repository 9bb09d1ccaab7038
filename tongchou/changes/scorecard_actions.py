"""Every write about scorecards, and how a row is read as what scorecard.py weighs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from tongchou.changes import requirement_reads as reads
from tongchou.changes import scorecard, stated
from tongchou.changes.models_requirements import Scorecard
from tongchou.changes.requirement_actions import EDIT, next_number, same_version
from tongchou.changes.requirement_draft import unseen
from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.models import Team
from tongchou.core.refs import ref

MAX_CRITERIA, MAX_CANDIDATES = 20, 12
MAX_WEIGHT = (Decimal(1000), 2)
MAX_SCORE = Decimal(5)


@dataclass(frozen=True)
class Draft:
    """See models_requirements.Scorecard. Weights and scores are numbers, or texts that write one."""

    title: str
    purpose: str = ""
    criteria: list[dict[str, Any]] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    scores: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    requirement: UUID | None = None
    owner_team: UUID | None = None


def good(draft: Draft) -> dict[str, Any]:
    """Return the fields of a scorecard; Invalid for the first that will not do. A score may be missing yet."""
    criteria = []
    for n, row in enumerate(stated.rows(draft.criteria, "criteria", ("name", "weight"))):
        weight = stated.decimal(row.get("weight"), f"criteria[{n}].weight", MAX_WEIGHT)
        if weight is None:
            raise stated.refuse(f"criteria[{n}].weight", "", _("A criterion has a weight."), _("Write a number."))
        name = stated.text(row.get("name"), f"criteria[{n}].name", most=120, wanted=True)
        criteria.append({"name": name, "weight": stated.plain(weight)})
    candidates = [stated.text(each, "candidates", most=120) for each in draft.candidates]
    candidates = [each for each in candidates if each]
    for named, most, where in (
        ([each["name"] for each in criteria], MAX_CRITERIA, "criteria"),
        (candidates, MAX_CANDIDATES, "candidates"),
    ):
        if len(named) > most or len(set(named)) != len(named):
            raise stated.refuse(where, len(named), _("At most %(most)s, with different names.") % {"most": most})
    scores = _scores(draft.scores, [each["name"] for each in criteria], candidates)
    found = {"criteria": criteria, "candidates": candidates, "scores": scores}
    result = scorecard.weighed(*_parts(criteria, candidates, scores))
    return {
        "title": stated.text(draft.title, "title", most=200, wanted=True),
        "purpose": stated.text(draft.purpose, "purpose"),
        **found,
        "winner": ", ".join(result.winners)[:300],
    }


def _scores(
    given: Mapping[str, Mapping[str, Mapping[str, Any]]], criteria: list[str], candidates: list[str]
) -> dict[str, dict[str, dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = {}
    for candidate, row in given.items():
        for criterion, cell in row.items():
            where = f"scores[{candidate}][{criterion}]"[:120]
            if candidate not in candidates or criterion not in criteria:
                raise stated.refuse(where, None, _("There is no such candidate or criterion."))
            if not isinstance(cell, Mapping) or set(cell) - {"score", "note"}:
                raise stated.refuse(where, None, _("A row has these fields: %(names)s.") % {"names": "score, note"})
            score = stated.decimal(cell.get("score"), where, (Decimal(100), 1))
            if score is not None and score > MAX_SCORE:
                raise stated.refuse(where, score, _("A score is from 0 to 5."))
            note = stated.text(cell.get("note"), where, most=1000)
            if score is not None or note:
                found.setdefault(candidate, {})[criterion] = {"score": stated.plain(score), "note": note}
    return found


def _parts(
    criteria: list[dict[str, Any]], candidates: list[str], scores: Mapping[str, Mapping[str, Mapping[str, str]]]
) -> tuple[dict[str, Fraction], dict[str, dict[str, Fraction]]]:
    weights = {each["name"]: Fraction(each["weight"]) for each in criteria}
    given = {
        each: {
            name: Fraction(cell["score"])
            for name, cell in scores.get(each, {}).items()
            if cell["score"] and name in weights
        }
        for each in candidates
    }
    return weights, given


def weighed(row: Scorecard) -> scorecard.Result:
    """Return who wins and how firmly."""
    return scorecard.weighed(*_parts(row.criteria, row.candidates, row.scores))


def add(*, actor: Actor, draft: Draft) -> Scorecard:
    """Write a scorecard down. Event scorecard.added."""
    fields = good(draft)
    with transaction.atomic():
        links = _links(actor, draft)
        row = Scorecard.objects.create(number=next_number(Scorecard), created_by_name=actor.name, **fields, **links)
        _tell(actor, row, "scorecard.added", {"winner": row.winner})
    return row


def change(*, actor: Actor, card: Scorecard, version: int, draft: Draft) -> Scorecard:
    """Write it anew; `version` is the one that was read. Event scorecard.changed names what differs."""
    check(actor, EDIT, team=card.owner_team_id)
    fields = good(draft)
    with transaction.atomic():
        row = Scorecard.objects.select_for_update(of=("self",)).get(pk=card.pk)
        same_version(row, version)
        links = _links(actor, draft)
        before = {name: getattr(row, name) for name in (*fields, *links)}
        changed = sorted(name for name, value in {**fields, **links}.items() if before[name] != value)
        if changed:
            Scorecard.objects.filter(pk=row.pk).update(**fields, **links, version=F("version") + 1)
            told = {"changes": {name: str(before[name])[:500] for name in changed}, "winner": fields["winner"]}
            _tell(actor, row, "scorecard.changed", told)
    card.refresh_from_db()
    return card


def remove(*, actor: Actor, card: Scorecard) -> None:
    """Take a scorecard away. Event scorecard.removed keeps what it was."""
    check(actor, EDIT, team=card.owner_team_id)
    with transaction.atomic():
        was = {name: getattr(card, name) for name in ("purpose", "criteria", "candidates", "scores", "winner")}
        _tell(actor, card, "scorecard.removed", {"was": was})
        Scorecard.objects.filter(pk=card.pk).delete()


def _links(actor: Actor, draft: Draft) -> dict[str, Any]:
    requirement = (
        reads.requirements(actor).filter(pk=draft.requirement).first() if draft.requirement is not None else None
    )
    team = Team.objects.filter(pk=draft.owner_team).first() if draft.owner_team else None
    for name, found in (("requirement", requirement), ("owner_team", team)):
        if found is None and getattr(draft, name) is not None:
            raise unseen(name, getattr(draft, name))
    if requirement is not None:
        team = requirement.owner_team
    check(actor, EDIT, team=team.pk if team else None)
    return {"requirement": requirement, "owner_team": team}


def _tell(actor: Actor, row: Scorecard, verb: str, payload: dict[str, Any]) -> None:
    ledger.record(
        actor=actor,
        verb=verb,
        subject=ref(row),
        about=[f"changes.requirement:{row.requirement_id}"] if row.requirement_id else [],
        payload={"name": row.name, "title": row.title, **payload},
    )

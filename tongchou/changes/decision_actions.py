"""Every write about decision records: proposals, the choice of an option, and what supersedes what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes import chosen_changes, option_actions, stated
from tongchou.changes import requirement_reads as reads
from tongchou.changes.models_requirements import (
    Decision,
    DecisionStatus,
    Option,
    Requirement,
    RequirementState,
)
from tongchou.changes.requirement_actions import EDIT, locked, move, next_number, same_version, tell, wrong_state
from tongchou.changes.requirement_draft import unseen
from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.models import Team
from tongchou.core.problems import Conflict
from tongchou.core.refs import ref
from tongchou.runbooks.definition import canonical_hash


@dataclass(frozen=True)
class Draft:
    """What a person writes of a decision record; ids of what it belongs to and of what it replaces."""

    title: str
    context: str = ""
    decision: str = ""
    consequences: str = ""
    requirement: UUID | None = None
    owner_team: UUID | None = None
    supersedes: UUID | None = None


TEXTS = ("title", "context", "decision", "consequences")


def _good(draft: Draft) -> dict[str, str]:
    return {name: stated.text(getattr(draft, name), name, most=200 if name == "title" else stated.MAX_TEXT,
                              wanted=name == "title") for name in TEXTS}  # fmt: skip


def propose(*, actor: Actor, draft: Draft) -> Decision:
    """Write a decision record down, as proposed. Event decision.proposed."""
    texts = _good(draft)
    with transaction.atomic():
        links = _links(actor, draft)
        row = Decision.objects.create(number=next_number(Decision), created_by_name=actor.name, **texts, **links)
        _tell(actor, row, "decision.proposed", {})
    return row


def change(*, actor: Actor, decision: Decision, version: int, draft: Draft) -> Decision:
    """Write a proposed record anew; an accepted one is superseded by another instead. Event decision.changed."""
    check(actor, EDIT, team=decision.owner_team_id)
    texts = _good(draft)
    with transaction.atomic():
        row = _locked(decision)
        same_version(row, version)
        if row.status != DecisionStatus.PROPOSED:
            raise wrong_state(row, _("Only a proposed record is edited."), _("Write another one that supersedes it."))
        links = _links(actor, draft)
        Decision.objects.filter(pk=row.pk).update(**texts, **links, version=F("version") + 1)
        changed = [name for name in texts if getattr(row, name) != texts[name]]
        _tell(actor, row, "decision.changed", {"changes": {name: getattr(row, name)[:500] for name in changed}})
    decision.refresh_from_db()
    return decision


def accept(*, actor: Actor, decision: Decision) -> Decision:
    """Accept a proposed record; the one it names is superseded. Event decision.accepted."""
    check(actor, EDIT, team=decision.owner_team_id)
    with transaction.atomic():
        row = _locked(decision)
        if row.status != DecisionStatus.PROPOSED:
            raise wrong_state(row, _("Only a proposed record is accepted."), "")
        stated.text(row.decision, "decision", wanted=True)
        _supersede(actor, row.supersedes, row)
        _accepted(actor, row, canonical_hash({name: getattr(row, name) for name in TEXTS}))
    decision.refresh_from_db()
    return decision


def deprecate(*, actor: Actor, decision: Decision, note: str) -> Decision:
    """Say that it no longer holds, without another in its place. Event decision.deprecated."""
    check(actor, EDIT, team=decision.owner_team_id)
    note = stated.text(note, "note", most=4000, wanted=True)
    with transaction.atomic():
        row = _locked(decision)
        if row.status not in (DecisionStatus.PROPOSED, DecisionStatus.ACCEPTED):
            raise wrong_state(row, _("It does not hold any more already."), "")
        Decision.objects.filter(pk=row.pk).update(status=DecisionStatus.DEPRECATED, version=F("version") + 1)
        _tell(actor, row, "decision.deprecated", {"note": note[:500]})
    decision.refresh_from_db()
    return decision


def choose(
    *, actor: Actor, option: Option, title: str = "", context: str = "", decision: str = "", consequences: str = ""
) -> Decision:
    """Choose an option of an accepted requirement: writes the decision record, bound to both contents.

    What it proposes becomes changes. Event option.chosen, with the requirement, its services, the option, the record,
    the changes and the existing resources, for what follows a choice. Idempotent: choosing the chosen one again gives
    its record and the same changes. An earlier choice of the requirement is superseded. Conflict while the requirement
    is not accepted as it is now.
    """
    check(actor, EDIT, team=option.requirement.owner_team_id)
    texts = _good(Draft(title or f"{option.requirement.name}: {option.name}"[:200], context, decision, consequences))
    with transaction.atomic():
        row = locked(option.requirement)
        chosen = Option.objects.select_for_update().get(pk=option.pk)
        before = Decision.objects.filter(requirement=row, option__isnull=False, status=DecisionStatus.ACCEPTED).first()
        if row.state == RequirementState.DECIDED and before is not None and before.option_id == chosen.pk:
            chosen_changes.make(actor=actor, requirement=row, option=chosen, decision=before)
            return before
        content = reads.content_hash(row)
        if row.state != RequirementState.ACCEPTED or row.accepted_hash != content:
            raise wrong_state(
                row,
                _("An option is chosen once the requirement is accepted as it is now."),
                _("Bring it through its review first."),
            )
        _supersede_choice(actor, before)
        made = Decision.objects.create(
            number=next_number(Decision),
            requirement=row,
            option=chosen,
            owner_team=row.owner_team,
            supersedes=before,
            considered=[_considered(each) for each in reads.compared(row)],
            created_by_name=actor.name,
            **{**texts, "context": texts["context"] or row.need, "decision": texts["decision"] or chosen.summary},
        )
        if before is not None:
            _tell(actor, before, "decision.superseded", {"by": made.name}, about=[ref(made)])
        bound = canonical_hash({"requirement": content, "option": option_actions.content_hash(chosen)})
        _accepted(actor, made, bound)
        move(row, RequirementState.DECIDED)
        _tell_chosen(actor, row, chosen, made, bound)
    made.refresh_from_db()
    return made


def _tell_chosen(actor: Actor, row: Requirement, chosen: Option, made: Decision, bound: str) -> None:
    """Make the changes of a choice, and tell of all that belongs to it."""
    changes = chosen_changes.make(actor=actor, requirement=row, option=chosen, decision=made)
    existing = [f"inventory.resource:{each['existing']}" for each in chosen.resources if each["existing"]]
    facts = {
        "requirement": ref(row),
        "option": chosen.name,
        "option_ref": ref(chosen),
        "decision": made.name,
        "decision_ref": ref(made),
        "content_hash": bound,
        "changes": [{"ref": ref(each), "name": each.name, "title": each.title} for each in changes],
    }
    about = [ref(chosen), ref(made), *(ref(each) for each in changes), *existing]
    tell(actor, row, "option.chosen", facts, about=about, key=f"option.chosen:{made.pk}")


def _considered(each: reads.Compared) -> dict[str, Any]:
    """What an option was when it was decided, for the record."""
    row = each.option
    figures = ("capex", "opex_monthly", "energy_kwh_monthly", "co2e_kg_monthly")
    return {
        "name": row.name,
        "summary": row.summary,
        "availability": row.availability,
        **{name: stated.plain(getattr(row, name)) for name in figures},
        "currency": row.currency,
        "lead_days": row.lead_days,
        "sources": row.sources,
        "meets": each.meets,
        "reasons": [
            {"criterion": said.criterion, "met": said.met, "reason": str(said.reason)} for said in each.verdicts
        ],
        "risks": row.risks,
        "hash": option_actions.content_hash(row),
    }


# --- shared by the above --------------------------------------------------------------------------------------------


def _locked(decision: Decision) -> Decision:
    return Decision.objects.select_for_update(of=("self",)).select_related("supersedes").get(pk=decision.pk)


def _accepted(actor: Actor, row: Decision, bound: str) -> None:
    Decision.objects.filter(pk=row.pk).update(
        status=DecisionStatus.ACCEPTED,
        content_hash=bound,
        decided_at=timezone.now(),
        decided_by_name=actor.name,
        version=F("version") + 1,
    )
    _tell(actor, row, "decision.accepted", {"content_hash": bound})


def _supersede_choice(actor: Actor, before: Decision | None) -> None:
    """Of one requirement one choice holds: the earlier one ends before the next is written."""
    if before is not None:
        Decision.objects.filter(pk=before.pk).update(status=DecisionStatus.SUPERSEDED, version=F("version") + 1)


def _supersede(actor: Actor, before: Decision | None, by: Decision) -> None:
    if before is None:
        return
    if not Decision.objects.filter(pk=before.pk, status=DecisionStatus.ACCEPTED).update(
        status=DecisionStatus.SUPERSEDED, version=F("version") + 1
    ):
        raise Conflict(
            "decision.supersedes",
            _("Only an accepted record can be superseded."),
            field="supersedes",
            value=before.name,
            remedy=_("Name the record that holds now, or none."),
        )
    _tell(actor, before, "decision.superseded", {"by": by.name}, about=[ref(by)])


def _links(actor: Actor, draft: Draft) -> dict[str, Any]:
    """The nouns a draft points at, as far as the actor may see them; the team owns the record like its requirement."""
    requirement: Requirement | None = None
    if draft.requirement is not None:
        requirement = reads.requirements(actor).filter(pk=draft.requirement).first()
    supersedes = reads.decisions(actor).filter(pk=draft.supersedes).first() if draft.supersedes else None
    team = Team.objects.filter(pk=draft.owner_team).first() if draft.owner_team else None
    found = {"requirement": requirement, "supersedes": supersedes, "owner_team": team}
    for name, row in found.items():
        if row is None and getattr(draft, name) is not None:
            raise unseen(name, getattr(draft, name))
    if requirement is not None:
        found["owner_team"] = requirement.owner_team
    owner = found["owner_team"]
    check(actor, EDIT, team=owner.pk if owner is not None else None)
    if supersedes is not None:
        check(actor, EDIT, team=supersedes.owner_team_id)
    return found


def _tell(actor: Actor, row: Decision, verb: str, payload: dict[str, Any], *, about: list[str] | None = None) -> None:
    refs = [f"changes.requirement:{row.requirement_id}"] if row.requirement_id else []
    ledger.record(
        actor=actor,
        verb=verb,
        subject=ref(row),
        about=[*refs, *(about or [])],
        payload={"name": row.name, "title": row.title, **payload},
    )

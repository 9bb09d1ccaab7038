"""Every write about the options of a requirement."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F, Max
from django.utils.translation import gettext_lazy as _

from tongchou.changes import option_draft
from tongchou.changes.models_requirements import OPEN_TO_EDIT, Option, Requirement
from tongchou.changes.option_draft import Draft, good
from tongchou.changes.requirement_actions import EDIT, locked, same_version, tell, wrong_state
from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict
from tongchou.core.refs import ref
from tongchou.inventory import reads as inventory

MAX_OPTIONS = 20
NAMES = tuple(Draft.__dataclass_fields__)


def draft_of(row: Option) -> Draft:
    """The option in the form in which it is changed."""
    return Draft(**{name: getattr(row, name) for name in NAMES})


def content_hash(row: Option) -> str:
    """What a choice of this option is bound to."""
    return option_draft.content_hash(draft_of(row))


def add(*, actor: Actor, requirement: Requirement, draft: Draft) -> Option:
    """Add an option, before it is decided. Event option.added."""
    check(actor, EDIT, team=requirement.owner_team_id)
    draft = good(draft)
    with transaction.atomic():
        row = _open(requirement)
        _refuse_unseen(actor, draft, kept=set())
        if row.options.count() >= MAX_OPTIONS:
            raise Conflict("option.many", _("There are %(most)s options already.") % {"most": MAX_OPTIONS})
        _refuse_same_name(row, draft.name, None)
        last = row.options.aggregate(last=Max("position"))["last"] or 0
        made = Option.objects.create(requirement=row, position=last + 1, created_by_name=actor.name, **_fields(draft))
        tell(actor, row, "option.added", {"option": made.name}, about=[ref(made)])
    return made


def change(*, actor: Actor, option: Option, version: int, draft: Draft) -> Option:
    """Write it anew, before it is decided; `version` is the one that was read. Event option.changed."""
    check(actor, EDIT, team=option.requirement.owner_team_id)
    draft = good(draft)
    with transaction.atomic():
        row = _open(option.requirement)
        now = Option.objects.select_for_update().get(pk=option.pk)
        same_version(now, version)
        before = draft_of(now)
        changed = sorted(name for name in NAMES if getattr(before, name) != getattr(draft, name))
        if changed:
            _refuse_unseen(actor, draft, kept={each["existing"] for each in before.resources})
            _refuse_same_name(row, draft.name, now)
            Option.objects.filter(pk=now.pk).update(**_fields(draft), version=F("version") + 1)
            told = {"option": draft.name, "changes": {name: str(getattr(before, name))[:500] for name in changed}}
            tell(actor, row, "option.changed", told, about=[ref(now)])
    option.refresh_from_db()
    return option


def remove(*, actor: Actor, option: Option) -> None:
    """Take an option away, before it is decided. Event option.removed keeps what it was."""
    check(actor, EDIT, team=option.requirement.owner_team_id)
    with transaction.atomic():
        row = _open(option.requirement)
        if option.decisions.exists():
            raise Conflict(
                "option.decided",
                _("A decision was made for this option, so it stays."),
                remedy=_("Edit it, or add another."),
            )
        was = {name: str(getattr(option, name))[:500] for name in NAMES}
        tell(actor, row, "option.removed", {"option": option.name, "was": was}, about=[ref(option)])
        Option.objects.filter(pk=option.pk).delete()


def _open(requirement: Requirement) -> Requirement:
    row = locked(requirement)
    if row.state not in OPEN_TO_EDIT:
        raise wrong_state(row, _("What was decided, or is over, keeps its options."), _("Take it up again first."))
    return row


def _fields(draft: Draft) -> dict[str, Any]:
    computed = option_draft.computed(draft.structure)
    said = {name: getattr(draft, name) for name in NAMES}
    return {**said, "computed": computed, "availability": computed["availability"]}


def _refuse_same_name(row: Requirement, name: str, but: Option | None) -> None:
    others = row.options.filter(name=name)
    if (others.exclude(pk=but.pk) if but else others).exists():
        raise Conflict(
            "option.name",
            _("Another option of this requirement is called so."),
            field="name",
            value=name,
            remedy=_("Choose another name."),
        )


def _refuse_unseen(actor: Actor, draft: Draft, *, kept: set[str]) -> None:
    """Existing resources are ones the actor may see; what the option had before stays."""
    named = {each["existing"] for each in draft.resources if each["existing"]} - kept
    seen = {str(each) for each in inventory.visible(actor).filter(pk__in=named).values_list("pk", flat=True)}
    for n, each in enumerate(draft.resources):
        if each["existing"] in named - seen:
            raise Conflict(
                "design.unknown",
                _("There is no such thing, or you may not see it."),
                field=f"resources[{n}].existing",
                value=each["existing"],
                remedy=_("Choose one that you can open."),
            )

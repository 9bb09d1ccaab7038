"""What many resources can be given at once, and what is decided about many items of the work queues."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, time
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.functional import lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tongchou.core import custom_fields, nouns
from tongchou.core.access import Actor, team_names
from tongchou.core.lists import custom
from tongchou.core.lists.changes import Change, Input, register
from tongchou.core.models import Team
from tongchou.core.problems import Invalid, Text
from tongchou.inventory import actions, checks, kinds, reads, standard, work
from tongchou.inventory.models import Resource
from tongchou.inventory.models_queues import QueueItem, QueueName

KIND = "inventory.resource"
EDIT = "inventory.edit"


def team_named(name: str | None) -> Team | None:
    """Return the team of this name, None for no name; Invalid names the field."""
    if not name:
        return None
    found = Team.objects.filter(name=name).first()
    if found is None:
        raise Invalid(
            "inventory.owner",
            _("There is no team of this name."),
            field="owner",
            value=name,
            remedy=_("Create the team, or leave the owner open."),
        )
    return found


def labels_of(text: str, field: str = "labels") -> dict[str, str]:
    """Read "env=prod, tier=a"; Invalid names what has no "="."""
    found: dict[str, str] = {}
    for part in (each.strip() for each in text.split(",") if each.strip()):
        name, has_value, value = part.partition("=")
        if not has_value:
            raise Invalid(
                "inventory.labels",
                _("A label is written name=value."),
                field=field,
                value=part[:80],
                remedy=_("Write them like env=prod, tier=web."),
            )
        found[name.strip()] = value.strip()
    return checks.labels(found, field)


def _teams(actor: Actor) -> Iterable[tuple[str, Text]]:
    return [("", _("nobody")), *((name, name) for name in team_names(actor))]


def _write_owner(actor: Actor, row: Resource, wanted: str | None) -> None:
    actions.update_resource(actor=actor, resource=row, owner=team_named(wanted), clear_owner=wanted is None)


def _read_owner(_actor: Actor, form: Mapping[str, str]) -> str | None:
    found = team_named(form.get("owner", "").strip())
    return found.name if found else None


register(
    Change(
        KIND,
        "owner",
        _("Owner"),
        lambda row: row.owner.name if row.owner else None,
        lambda _row, said: said,
        _write_owner,
        nouns.check_change,
        (Input("owner", _("Team"), "choice", choices=_teams),),
        _read_owner,
        reversible=True,
        permission=EDIT,
    )
)


def _read_labels(_actor: Actor, form: Mapping[str, str]) -> dict[str, Any]:
    added = labels_of(form.get("add", ""), "add")
    removed = [each.strip() for each in form.get("remove", "").split(",") if each.strip()]
    if not added and not removed:
        raise Invalid("inventory.labels", _("No label is named."), field="add", remedy=_("Write them like env=prod."))
    return {"add": added, "remove": removed}


def _labels_after(row: Resource, said: dict[str, Any]) -> dict[str, str]:
    kept = {name: value for name, value in row.labels.items() if name not in said["remove"]}
    return checks.labels({**kept, **said["add"]})


def write_labels(actor: Actor, row: Resource, wanted: Mapping[str, str]) -> None:
    """Give a resource exactly these labels: what is not among them is taken back."""
    changed = {name: wanted.get(name) for name in {*row.labels, *wanted} if wanted.get(name) != row.labels.get(name)}
    actions.update_resource(actor=actor, resource=row, labels=changed)


register(
    Change(
        KIND,
        "labels",
        _("Labels"),
        lambda row: row.labels,
        _labels_after,
        write_labels,
        nouns.check_change,
        (
            Input("add", _("Add or change"), "labels", help=_("name=value, divided by commas")),
            Input("remove", _("Remove"), "names", help=_("names, divided by commas")),
        ),
        _read_labels,
        reversible=True,
        permission=EDIT,
    )
)


def _write_state(actor: Actor, row: Resource, wanted: dict[str, str]) -> None:
    if wanted["state"] == "tombstone":
        actions.retire_resource(actor=actor, resource=row, reason=wanted.get("reason", ""))
    else:
        actions.restore_resource(actor=actor, resource=row)


register(
    Change(
        KIND,
        "retire",
        _("Declare gone"),
        lambda row: {"state": row.state},
        lambda _row, _said: {"state": "tombstone"},
        _write_state,
        nouns.check_change,
        reversible=True,
        permission=EDIT,
        help=_("A source that sees one again brings it back."),
    )
)
custom.offer(KIND, EDIT)


# --- the work queues --------------------------------------------------------------------------------------------------
ITEM = "inventory.queueitem"
REASON = Input("reason", _("Reason"), required=True)


def day(text: str) -> datetime:
    """Read a day as the end of it on the reader's clock, the active time zone; Invalid names the field."""
    try:
        found = parse_date(text.strip())
        if found is not None:
            return timezone.make_aware(datetime.combine(found, time.max)).astimezone(UTC)
    except (ValueError, OverflowError):  # the last day of all has no end in UTC
        pass
    raise Invalid(
        "queue.until", _("A day is wanted."), field="until", value=text[:40], remedy=_("Write it like 2026-10-01.")
    )


def _zone_told() -> str:
    return gettext("The end of that day in %(zone)s.") % {"zone": timezone.get_current_timezone_name()}


_its_zone = lazy(_zone_told, str)


def _said(inputs: Iterable[Input], form: Mapping[str, str]) -> dict[str, str]:
    found = {each.name: form.get(each.name, "").strip() for each in inputs}
    missing = next((each for each in inputs if each.required and not found[each.name]), None)
    if missing is not None:
        raise Invalid(
            "queue.missing",
            _("%(field)s is missing.") % {"field": missing.title},
            field=missing.name,
            remedy=_("Fill it in."),
        )
    if found.get("until"):  # a job, which writes it, has no reader's clock
        found["until"] = timezone.localtime(day(found["until"])).isoformat(timespec="seconds")
    return found


def _decision(
    name: str,
    title: Text,
    write: Callable[[Actor, QueueItem, Mapping[str, Any]], None],
    *,
    of: tuple[QueueName, ...] = (),
    inputs: tuple[Input, ...] = (),
    help_: Text = "",
) -> None:
    """Offer a decision for items of some queues (none named: of all)."""

    def after(row: QueueItem, said: Any) -> dict[str, Any]:
        if of:
            work.must_be(row, *of)
        return {"decision": name, **said}

    register(
        Change(
            ITEM,
            name,
            title,
            lambda row: {
                "state": row.state,
                "declared": row.facts.get("declared"),
                "observed": row.facts.get("observed"),
            },
            after,
            write,
            work.may,
            inputs,
            lambda _actor, form: _said(inputs, form),
            permission=EDIT,
            help=help_,
        )
    )


def _ignore(actor: Actor, row: QueueItem, said: Mapping[str, Any]) -> None:
    work.ignore(actor=actor, row=row, reason=said["reason"], until=_moment(said["until"]))


def _moment(text: str) -> datetime:
    """What `_said` kept; a day alone is of a version that kept no more."""
    return parse_datetime(text) or day(text)


def _own(actor: Actor, row: QueueItem, said: Mapping[str, Any]) -> None:
    team = team_named(said["owner"])
    if team is None:
        raise Invalid("inventory.owner", _("No team is named."), field="owner", remedy=_("Choose a team."))
    work.own(actor=actor, row=row, team=team)


_decision(
    "accept_observed",
    _("Accept what is observed"),
    lambda actor, row, _said: work.accept_observed(actor=actor, row=row),
    of=(QueueName.DIFFERS,),
    help_=_("The observed value becomes the declared one, by your word."),
)
_decision(
    "keep_declared",
    _("Keep what is declared"),
    lambda actor, row, said: work.keep_declared(actor=actor, row=row, reason=said["reason"]),
    of=(QueueName.DIFFERS,),
    inputs=(REASON,),
    help_=_("The item comes back when something else is observed."),
)
_decision(
    "accept",
    _("Take into the inventory"),
    lambda actor, row, said: work.accept(actor=actor, row=row, reason=said["reason"]),
    of=(QueueName.UNRECORDED,),
    inputs=(Input("reason", _("Reason")),),
)
_decision(
    "confirm",
    _("It is still there"),
    lambda actor, row, _said: work.confirm(actor=actor, row=row),
    of=(QueueName.UNSEEN,),
    help_=_("Seen by you, now. Your word upholds it from now on, whatever its sources see."),
)
_decision(
    "own",
    _("Give an owner"),
    _own,
    of=(QueueName.UNOWNED,),
    inputs=(Input("owner", _("Team"), "choice", True, choices=_teams),),
)
_decision(
    "ignore",
    _("Ignore until a day"),
    _ignore,
    inputs=(REASON, Input("until", _("Until"), "date", required=True, help=_its_zone())),
    help_=_("The items are back after that day."),
)
_decision("reopen", _("Open again"), lambda actor, row, _said: work.reopen(actor=actor, row=row))
_decision(
    "retire",
    _("Declare gone"),
    lambda actor, row, said: work.retire(actor=actor, row=row, reason=said["reason"]),
    inputs=(Input("reason", _("Reason")),),
    help_=_("A source that sees one again brings it back."),
)


# --- a standard field -------------------------------------------------------------------------------------------------


def _fields(actor: Actor) -> Iterable[tuple[str, Text]]:
    """The standard fields of the kinds there are."""
    found = {field.name: field for kind in reads.kinds_in_use(actor) for field in kinds.fields(kind)}
    return sorted(((name, field.title) for name, field in found.items()), key=lambda pair: str(pair[1]))


def _read_field(_actor: Actor, form: Mapping[str, str]) -> dict[str, Any]:
    field = kinds.field_named(form.get("field", ""))
    if field is None:
        raise Invalid(
            "inventory.field",
            _("There is no such field."),
            field="field",
            value=form.get("field", "")[:60],
            remedy=_("Choose one from the list."),
        )
    return {field.name: custom_fields.parse_cell(field, form.get("value", "").strip())}


def _field_after(row: Resource, said: dict[str, Any]) -> dict[str, Any]:
    known = {each.name for each in kinds.fields(row.kind)}
    for name in said:
        if name not in known:
            raise Invalid("inventory.field", _("Things of this kind do not have the field."), field=name)
    return {**row.attributes, **standard.stated(row.kind, said)}


def _write_field(actor: Actor, row: Resource, wanted: Mapping[str, Any]) -> None:
    changed = {
        name: wanted.get(name) for name in {*row.attributes, *wanted} if wanted.get(name) != row.attributes.get(name)
    }
    actions.set_attributes(actor=actor, resource=row, values=changed)


register(
    Change(
        KIND,
        "attribute",
        _("Field"),
        lambda row: row.attributes,
        _field_after,
        _write_field,
        nouns.check_change,
        (
            Input("field", _("Field"), "choice", required=True, choices=_fields),
            Input("value", _("Value"), help=_("By your word, which outweighs every source; empty takes it back.")),
        ),
        _read_field,
        reversible=True,
        permission=EDIT,
    )
)

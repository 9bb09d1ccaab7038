"""What many resources can be given at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core import nouns
from tongchou.core.access import Actor, team_names
from tongchou.core.lists import custom
from tongchou.core.lists.changes import Change, Input, register
from tongchou.core.models import Team
from tongchou.core.problems import Invalid, Text
from tongchou.inventory import actions, checks
from tongchou.inventory.models import Resource

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

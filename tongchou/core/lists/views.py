"""Saved views and how each person wants each list."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import Actor, check_own
from tongchou.core.lists.conditions import ROW_COUNTS
from tongchou.core.lists.tables import Table, table
from tongchou.core.models import Role, Team
from tongchou.core.models_lists import ListPreference, SavedView, SharedWith
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound
from tongchou.core.refs import ref

MANAGE = "access.manage"
MAX_VIEWS = 200  # of one person, over all lists
MAX_NAME = 80
MAX_QUERY = 4000


def visible(actor: Actor) -> QuerySet[SavedView]:
    """Return the views an actor may see: their own, their teams', everybody's. Deleted ones are not among them."""
    found = SavedView.objects.filter(deleted_at__isnull=True).select_related("owner", "team")
    if actor.kind == "system":
        return found
    shared = Q(shared=SharedWith.EVERYBODY) | Q(shared=SharedWith.TEAM, team__in=list(actor.team_roles))
    return found.filter(Q(owner_id=actor.user_id) | shared)


def views_for(actor: Actor) -> list[SavedView]:
    """Return the views of the lists the actor may open, by list and name; one query."""
    open_kinds = set()
    for kind in set(visible(actor).order_by().values_list("kind", flat=True)):
        try:
            table(kind).check(actor)
        except (AccessDenied, NotFound):
            continue
        open_kinds.add(kind)
    return list(visible(actor).filter(kind__in=open_kinds).order_by("kind", "name", "pk"))


def of_list(actor: Actor, kind: str) -> list[SavedView]:
    """Return the views of one list, by name; one query."""
    return list(visible(actor).filter(kind=kind).order_by("name", "pk"))


def get(actor: Actor, view_id: UUID | str, *, deleted: bool = False) -> SavedView:
    """Return one visible view (with `deleted`, one's own deleted too); NotFound."""
    rows = visible(actor)
    if deleted:
        rows = SavedView.objects.filter(owner_id=actor.user_id)
    try:
        row = rows.filter(pk=view_id).first()
    except (ValueError, ValidationError):
        row = None
    if row is None:
        raise NotFound("view.unknown", _("There is no such view."), remedy=_("Choose one from the list's tabs."))
    return row


def teams_of(actor: Actor) -> list[tuple[UUID, str]]:
    """Return the teams an actor may share a view with: id and name; one query."""
    rows = Team.objects.order_by("name")
    if actor.global_role != Role.ADMIN and actor.kind != "system":
        rows = rows.filter(pk__in=list(actor.team_roles))
    return list(rows.values_list("pk", "name"))


def may_edit(actor: Actor, view: SavedView) -> bool:
    """Whether the actor owns the view or administers the platform."""
    return actor.kind == "system" or view.owner_id == actor.user_id or actor.global_role == Role.ADMIN


def _check_edit(actor: Actor, view: SavedView) -> None:
    check_own(actor, MANAGE)
    if not may_edit(actor, view):
        raise AccessDenied(
            "view.not_yours",
            _("Only the one who made a view, or an administrator, changes it."),
            remedy=_("Copy it: the copy is yours."),
        )


def _name(text: str) -> str:
    found = text.strip()
    if not found or len(found) > MAX_NAME or not found.isprintable():
        raise Invalid(
            "view.name",
            _("A view's name has 1 to %(most)s printable characters.") % {"most": MAX_NAME},
            field="name",
            value=text[:100],
            remedy=_("Write a short name, such as what you look for."),
        )
    return found


def _audience(actor: Actor, shared: str, team: Team | None) -> tuple[str, Team | None]:
    if shared not in SharedWith.values:
        raise Invalid(
            "view.shared",
            _("A view is shared with nobody, a team, or everybody."),
            field="shared",
            value=shared[:20],
            remedy=_("Use one of: %(names)s.") % {"names": ", ".join(SharedWith.values)},
        )
    if shared != SharedWith.TEAM:
        return shared, None
    if team is None or (team.pk not in actor.team_roles and actor.global_role != Role.ADMIN and actor.kind != "system"):
        raise Invalid(
            "view.team",
            _("A view is shared with a team one belongs to."),
            field="team",
            value=team.name if team else "",
            remedy=_("Choose one of your teams."),
        )
    return shared, team


def save(
    *, actor: Actor, kind: str, name: str, query: str, shared: str = SharedWith.NOBODY, team: Team | None = None
) -> SavedView:
    """Keep a list as it is now. Event view.saved. Raises Conflict when the person has a view of that name there."""
    check_own(actor, MANAGE)
    wanted = table(kind)
    wanted.check(actor)
    name = _name(name)
    shared, team = _audience(actor, shared, team)
    if actor.user_id is None:
        raise Invalid("view.person", _("Views belong to people."), remedy=_("Sign in, or use a person's token."))
    if len(query) > MAX_QUERY:
        raise Invalid("view.query", _("The filter is too long to keep."), field="query", remedy=_("Use fewer values."))
    mine = SavedView.objects.filter(owner_id=actor.user_id, deleted_at__isnull=True)
    if mine.count() >= MAX_VIEWS:
        raise Conflict(
            "view.too_many",
            _("One person keeps at most %(most)s views.") % {"most": MAX_VIEWS},
            remedy=_("Delete one that is not used any more."),
        )
    with transaction.atomic():
        if mine.filter(kind=kind, name=name).exists():
            raise _taken(name)
        row = SavedView.objects.create(
            kind=kind, name=name, query=query, owner_id=actor.user_id, shared=shared, team=team
        )
        _tell(actor, "view.saved", row)
    return row


def _taken(name: str) -> Conflict:
    return Conflict(
        "view.exists",
        _("You have a view of this name already."),
        field="name",
        value=name,
        remedy=_("Update that one, or choose another name."),
    )


def _tell(actor: Actor, verb: str, row: SavedView, **more: Any) -> None:
    payload = {"name": row.name, "kind": row.kind, "shared": row.shared, **more}
    ledger.record(actor=actor, verb=verb, subject=ref(row), payload=payload)


def change(
    *,
    actor: Actor,
    view: SavedView,
    name: str | None = None,
    query: str | None = None,
    shared: str | None = None,
    team: Team | None = None,
) -> SavedView:
    """Rename a view, keep another filter in it, or share it otherwise. Event view.changed when something differs."""
    _check_edit(actor, view)
    with transaction.atomic():
        row = SavedView.objects.select_for_update().get(pk=view.pk)
        old = (row.name, row.query, row.shared, row.team_id)
        if name is not None and _name(name) != row.name:
            row.name = _name(name)
            same = SavedView.objects.filter(owner_id=row.owner_id, kind=row.kind, name=row.name, deleted_at=None)
            if same.exclude(pk=row.pk).exists():
                raise _taken(row.name)
        if query is not None:
            row.query = query[:MAX_QUERY]
        if shared is not None:
            row.shared, row.team = _audience(actor, shared, team)
        if old != (row.name, row.query, row.shared, row.team_id):
            row.changed_at = timezone.now()
            row.save()
            _tell(actor, "view.changed", row, old={"name": old[0], "query": old[1], "shared": old[2]})
    return row


def of_subkind(kind: str, name: str) -> str:
    """Return what a person's choice of columns is kept under for the rows of one subkind in a list."""
    return f"{kind}/{name}"[:80]


def followed(query: str, key: str, renamed: Mapping[str, str]) -> str:
    """Return the address of a view in which the values of a filter have their new names; unchanged where none does."""
    pairs = parse_qsl(query, keep_blank_values=True)
    found = [
        (name, ",".join(renamed.get(each.strip(), each) for each in value.split(",")))
        if name == key or name.startswith(f"{key}.")
        else (name, value)
        for name, value in pairs
    ]
    return query if found == pairs else urlencode(found)


def follow(*, actor: Actor, kinds: Collection[str], key: str, renamed: Mapping[str, str]) -> int:
    """Let the views of these lists, deleted ones too, follow values that have other names now; return how many did.

    Part of the action that renames, and allowed with it: a view that asks for what is not there shows nothing, and
    nobody is told. Event view.changed for each.
    """
    count = 0
    for row in SavedView.objects.select_for_update().filter(kind__in=kinds).order_by("pk"):
        query = followed(row.query, key, renamed)
        if query != row.query and len(query) <= MAX_QUERY:
            old, row.query = row.query, query
            row.save(update_fields=["query"])
            _tell(actor, "view.changed", row, old={"query": old}, followed=dict(renamed))
            count += 1
    return count


def follow_subkind(*, kind: str, old: str, new: str) -> None:
    """Let the choices of columns that people made for a subkind follow its new name."""
    names = (of_subkind(kind, old), of_subkind(kind, new))
    ListPreference.objects.filter(kind=names[1]).delete()  # of a kind that had the name before
    ListPreference.objects.filter(kind=names[0]).update(kind=names[1])


def copy(*, actor: Actor, view: SavedView) -> SavedView:
    """Make the actor's own private copy of a visible view, under a name that is free."""
    base, number = view.name[: MAX_NAME - 5], 2
    mine = set(
        SavedView.objects.filter(owner_id=actor.user_id, kind=view.kind, deleted_at=None).values_list("name", flat=True)
    )
    name = base
    while name in mine:
        name, number = f"{base} ({number})", number + 1
    return save(actor=actor, kind=view.kind, name=name, query=view.query)


def delete(*, actor: Actor, view: SavedView) -> SavedView:
    """Take a view away; `restore` undoes it. Event view.deleted."""
    _check_edit(actor, view)
    with transaction.atomic():
        if SavedView.objects.filter(pk=view.pk, deleted_at__isnull=True).update(deleted_at=timezone.now()):
            _tell(actor, "view.deleted", view)
    view.refresh_from_db()
    return view


def restore(*, actor: Actor, view: SavedView) -> SavedView:
    """Bring a deleted view back. Event view.restored. Raises Conflict when its name was given away meanwhile."""
    _check_edit(actor, view)
    with transaction.atomic():
        same = SavedView.objects.filter(owner_id=view.owner_id, kind=view.kind, name=view.name, deleted_at=None)
        if same.exclude(pk=view.pk).exists():
            raise _taken(view.name)
        if SavedView.objects.filter(pk=view.pk, deleted_at__isnull=False).update(deleted_at=None):
            _tell(actor, "view.restored", view)
    view.refresh_from_db()
    return view


# --- how one person wants one list ----------------------------------------------------------------------------------


def preference(actor: Actor, kind: str) -> ListPreference:
    """Return how the actor wants the list (unsaved with the defaults when they never said); one query."""
    found = None
    if actor.user_id is not None:
        found = ListPreference.objects.select_related("view").filter(user_id=actor.user_id, kind=kind).first()
    return found or ListPreference(user_id=actor.user_id or UUID(int=0), kind=kind)


def prefer(
    *,
    actor: Actor,
    wanted: Table,
    columns: Sequence[str] | None = None,
    rows: int | None = None,
    beside: Collection[str] = (),
    memory: str = "",
) -> ListPreference:
    """Keep columns (in their order; none: as the list comes) and rows a page. What is one's own needs no role.

    `beside` names columns that only the page has. `memory`: what it is kept under, where one table is several lists.
    """
    check_own(actor, MANAGE)
    row = preference(actor, memory or wanted.kind)
    if columns is not None:
        row.columns = [each for each in dict.fromkeys(columns) if each in beside or wanted.column(each)]
    if rows is not None:
        if rows not in ROW_COUNTS:
            raise Invalid(
                "list.rows",
                _("A page has one of these numbers of rows: %(numbers)s.")
                % {"numbers": ", ".join(str(each) for each in ROW_COUNTS)},
                field="rows",
                value=rows,
            )
        row.rows = rows
    row.save()
    return row


def set_default(*, actor: Actor, kind: str, view: SavedView | None) -> ListPreference:
    """Let a list open with this view for the actor (None: as it comes)."""
    check_own(actor, MANAGE)
    row = preference(actor, kind)
    row.view = view
    row.save()
    return row

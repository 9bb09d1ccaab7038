"""Every write of dashboards. A change says which version it changes: of two at once the second one is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.models import Team
from tongchou.core.problems import Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.telemetry.dashboard_reads import content_of, missing, versions
from tongchou.telemetry.dashboards import definition as definitions
from tongchou.telemetry.dashboards.choose import ordered
from tongchou.telemetry.dashboards.definition import Definition
from tongchou.telemetry.dashboards.reading import Fields
from tongchou.telemetry.models import Dashboard, DashboardVersion

EDIT = "telemetry.edit"
MAX_DASHBOARDS = 2000
KEPT_VERSIONS = 50
MAX_TAGS, LONGEST_TAG = 20, 50
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
CONTENT = ("title", "folder", "tags", "description", "definition")


@dataclass(frozen=True)
class Content:
    """What a person writes of a dashboard; `definition` as parse reads it."""

    title: str
    definition: Definition
    folder: str = ""
    tags: tuple[str, ...] = ()
    description: str = ""
    owner: Team | None = field(default=None, compare=False)


def content(value: object, *, owner: Team | None = None) -> Content:
    """Return the content that JSON tells: title, folder, tags, description, definition. Raises Invalid, TooLarge."""
    found = Fields(value, "", CONTENT)
    parsed = definitions.parse(found.value.get("definition", {}))
    ordered(parsed.variables)
    tags = [" ".join(each.split()) for each in found.texts("tags", most=MAX_TAGS, longest=LONGEST_TAG)]
    return Content(
        title=found.text("title", most=200, wanted=True).strip(),
        definition=parsed,
        folder=found.text("folder", most=100).strip(),
        tags=tuple(dict.fromkeys(each for each in tags if each)),
        description=found.text("description", most=20_000),
        owner=owner,
    )


def create(*, actor: Actor, made: Content, name: str = "", origin: str = "", note: str = "") -> Dashboard:
    """Make a dashboard; without a name it gets one from its title. Event dashboard.created.

    Raises Invalid for a bad name, Conflict for one that is taken and at MAX_DASHBOARDS.
    """
    check(actor, EDIT)
    if name and not NAME.fullmatch(name):
        raise Invalid(
            "dashboard.name",
            _("A name has 1 to 80 lower-case letters, digits, dashes and underscores, no dash first."),
            field="name",
            value=name,
        )
    with transaction.atomic():
        if Dashboard.objects.filter(deleted_at__isnull=True).count() >= MAX_DASHBOARDS:
            raise Conflict(
                "dashboard.too_many",
                _("There are %(count)d dashboards already.") % {"count": MAX_DASHBOARDS},
                remedy=_("Delete those nobody uses."),
            )
        row = _insert(name or _free_name(made.title), made, actor, origin)
        _keep_version(row, actor, note)
        payload = {"name": row.name, "title": row.title, "panels": row.panel_count, "origin": origin}
        ledger.record(actor=actor, verb="dashboard.created", subject=ref(row), payload=payload)
    return row


def _insert(name: str, made: Content, actor: Actor, origin: str) -> Dashboard:
    try:
        with transaction.atomic():
            return Dashboard.objects.create(name=name, origin=origin, updated_by_name=actor.name, **_columns(made))
    except IntegrityError:
        raise Conflict(
            "dashboard.exists",
            _("There is a dashboard called %(name)s already.") % {"name": name},
            field="name",
            value=name,
            remedy=_("Take another name, or change the one that is there."),
        ) from None


def _columns(made: Content) -> dict[str, Any]:
    return {
        "title": made.title,
        "folder": made.folder,
        "tags": list(made.tags),
        "description": made.description,
        "owner": made.owner,
        "definition": made.definition.as_json(),
        "panel_count": sum(1 for _each in made.definition.panels()),
    }


def _free_name(title: str) -> str:
    """Return a name like the title that no dashboard has."""
    base = slugify(title)[:60].strip("-_") or "dashboard"
    taken = set(Dashboard.objects.filter(deleted_at__isnull=True, name__startswith=base).values_list("name", flat=True))
    return next(name for name in (base, *(f"{base}-{n}" for n in range(2, MAX_DASHBOARDS + 3))) if name not in taken)


def _keep_version(row: Dashboard, actor: Actor, note: str) -> None:
    DashboardVersion.objects.create(
        dashboard=row, number=row.version, content=content_of(row), note=note[:200], created_by_name=actor.name
    )
    old = versions(row).values_list("pk", flat=True)[KEPT_VERSIONS:]
    DashboardVersion.objects.filter(pk__in=list(old)).delete()


def update(*, actor: Actor, dashboard: Dashboard, version: int, made: Content, note: str = "") -> Dashboard:
    """Change a dashboard that is at `version`; the same content again changes nothing. Event dashboard.changed.

    Raises Conflict when somebody else changed it meanwhile, NotFound when it is gone.
    """
    check(actor, EDIT)
    with transaction.atomic():
        row = _locked(dashboard, version)
        columns = _columns(made)
        changed = sorted(key for key, value in columns.items() if getattr(row, key) != value)
        if not changed:
            return row
        _write(row, columns, actor)
        _keep_version(row, actor, note)
        payload = {"name": row.name, "title": row.title, "version": row.version, "changed": changed, "note": note}
        ledger.record(actor=actor, verb="dashboard.changed", subject=ref(row), payload=payload)
    return row


def _locked(dashboard: Dashboard, version: int) -> Dashboard:
    row = (
        Dashboard.objects.select_for_update(of=("self",))
        .select_related("owner")
        .filter(pk=dashboard.pk, deleted_at__isnull=True)
        .first()
    )
    if row is None:
        raise missing(dashboard.name)
    if row.version != version:
        raise Conflict(
            "dashboard.changed_meanwhile",
            _("%(name)s changed this dashboard meanwhile: it is at version %(now)d, and you changed version %(then)d.")
            % {"name": row.updated_by_name, "now": row.version, "then": version},
            field="version",
            value=version,
            remedy=_("Open it again and repeat your change; the history shows theirs."),
        )
    return row


def _write(row: Dashboard, columns: dict[str, Any], actor: Actor) -> None:
    for key, value in columns.items():
        setattr(row, key, value)
    row.version += 1
    row.updated_at, row.updated_by_name = timezone.now(), actor.name
    row.save()


def restore(*, actor: Actor, dashboard: Dashboard, version: int, number: int) -> Dashboard:
    """Make the content of an earlier version the newest one. Event dashboard.restored. Raises as update, NotFound."""
    check(actor, EDIT)
    with transaction.atomic():
        row = _locked(dashboard, version)
        kept = versions(row).filter(number=number).first()
        if kept is None:
            raise missing(f"{row.name} v{number}")
        made = content(kept.content, owner=row.owner)
        _write(row, _columns(made), actor)
        _keep_version(row, actor, str(_("version %(number)d again") % {"number": number}))
        payload = {"name": row.name, "title": row.title, "version": row.version, "restored": number}
        ledger.record(actor=actor, verb="dashboard.restored", subject=ref(row), payload=payload)
    return row


def delete(*, actor: Actor, dashboard: Dashboard) -> None:
    """Take a dashboard away; undelete brings it back. Event dashboard.deleted. Deleted already: nothing happens."""
    check(actor, EDIT)
    with transaction.atomic():
        now = timezone.now()
        if Dashboard.objects.filter(pk=dashboard.pk, deleted_at__isnull=True).update(deleted_at=now):
            payload = {"name": dashboard.name, "title": dashboard.title}
            ledger.record(actor=actor, verb="dashboard.deleted", subject=ref(dashboard), payload=payload)


def undelete(*, actor: Actor, dashboard_id: UUID) -> Dashboard:
    """Bring a deleted dashboard back, under another name when its own is taken. Event dashboard.undeleted."""
    check(actor, EDIT)
    with transaction.atomic():
        row = Dashboard.objects.select_for_update().filter(pk=dashboard_id).first()
        if row is None:
            raise missing(str(dashboard_id))
        if row.deleted_at is not None:
            if Dashboard.objects.filter(name=row.name, deleted_at__isnull=True).exists():
                row.name = _free_name(row.title)
            row.deleted_at = None
            row.save(update_fields=["name", "deleted_at"])
            payload = {"name": row.name, "title": row.title}
            ledger.record(actor=actor, verb="dashboard.undeleted", subject=ref(row), payload=payload)
    return row


def names(tags: str) -> Sequence[str]:
    """Return the tags of a text: commas between them."""
    return [each.strip() for each in tags.replace("，", ",").split(",") if each.strip()]

"""What a person says of a change: limits, and what is missing before consent can be asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from tongchou.changes import risk
from tongchou.changes.models_control import ChangeKind
from tongchou.core.problems import Invalid

MAX_TITLE, MAX_TEXT, MAX_RESOURCES, MAX_TASKS = 200, 20_000, 500, 100
LONGEST = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """A task: by hand, or the procedure of this name with parameters and the names of its targets."""

    title: str
    procedure: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    targets: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As a template keeps it."""
        return {
            "title": self.title,
            "procedure": self.procedure,
            "params": dict(self.params),
            "targets": list(self.targets),
        }


@dataclass(frozen=True, slots=True)
class Draft:
    """A change as it is wanted. `template`: the standard change it is; its tasks and way back are then the template's.

    `assignee`: a username. `because`: the Ref of what it answers, an incident for example. Times are aware.
    """

    title: str
    kind: str = ChangeKind.NORMAL.value
    description: str = ""
    template: str = ""
    team: UUID | None = None
    assignee: str = ""
    environment: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    resources: Sequence[UUID] = ()
    tasks: Sequence[TaskDraft] = ()
    backout: str = ""
    backout_procedure: str = ""
    verification: str = ""
    quiet: bool = True
    exclude_slo: bool = True
    answers: Mapping[str, str] = field(default_factory=dict)
    because: str = ""


def checked(draft: Draft) -> None:
    """Raise Invalid for the first thing in a draft that can never be right."""
    if not draft.title.strip():
        raise invalid("title", draft.title, _("A change needs a title."), _("Say what is altered, in a line."))
    for name, most in (("title", MAX_TITLE), ("environment", 80)):
        if len(getattr(draft, name)) > most:
            raise invalid(name, len(getattr(draft, name)), _("This is too long."), _("At most %(n)s.") % {"n": most})
    for name in ("description", "backout", "verification"):
        value = getattr(draft, name)
        if len(value) > MAX_TEXT or "\x00" in value:
            raise invalid(name, len(value), _("This is too long."), _("At most %(n)s.") % {"n": MAX_TEXT})
    if draft.kind not in ChangeKind.values:
        raise invalid("kind", draft.kind, _("There is no such kind of change."), ", ".join(ChangeKind.values))
    for name, count, most in (
        ("resources", len(draft.resources), MAX_RESOURCES),
        ("tasks", len(draft.tasks), MAX_TASKS),
    ):
        if count > most:
            raise invalid(name, count, _("These are too many."), _("At most %(n)s.") % {"n": most})
    for number, task in enumerate(draft.tasks):
        if not task.title.strip() or len(task.title) > MAX_TITLE:
            raise invalid(
                f"tasks[{number}].title", task.title, _("A task needs a title."), _("At most %(n)s.") % {"n": MAX_TITLE}
            )
    _check_window(draft)
    risk.check_answers(draft.answers)


def _check_window(draft: Draft) -> None:
    for name in ("starts_at", "ends_at"):
        value = getattr(draft, name)
        if value is not None and value.tzinfo is None:
            raise invalid(name, value.isoformat(), _("A time needs its zone."), _("Write e.g. 2026-01-31T08:00:00Z."))
    if draft.starts_at is None or draft.ends_at is None:
        if draft.starts_at is not draft.ends_at:
            raise invalid("ends_at", None, _("A window has a beginning and an end."), _("Give both, or none."))
        return
    if draft.ends_at <= draft.starts_at:
        raise invalid(
            "ends_at", draft.ends_at.isoformat(), _("The window ends before it begins."), _("Give a later end.")
        )
    if draft.ends_at - draft.starts_at > LONGEST:
        raise invalid(
            "ends_at",
            draft.ends_at.isoformat(),
            _("A window lasts at most %(n)s days.") % {"n": LONGEST.days},
            _("Divide the work into several changes."),
        )


def invalid(name: str, value: Any, detail: Any, remedy: Any = "") -> Invalid:
    """Return the refusal of one field."""
    return Invalid("change.field", detail, field=name, value=value, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Facts:
    """What has to be there before consent can be asked for."""

    kind: str
    resources: int
    has_window: bool
    has_backout: bool
    has_verification: bool
    answers: Mapping[str, str]
    conflicts: int  # that nobody has said a reason for


def missing(facts: Facts) -> list[str]:
    """Return what is missing, as names of fields: of an emergency less is asked, of a standard change its place."""
    wanted = [
        ("resources", facts.resources > 0),
        ("starts_at", facts.has_window),
        ("conflicts_accepted", not facts.conflicts),
    ]
    if facts.kind != ChangeKind.STANDARD:
        wanted.append(("backout", facts.has_backout))
    if facts.kind == ChangeKind.NORMAL:
        wanted.append(("verification", facts.has_verification))
        wanted += [(f"answers.{name}", False) for name in risk.unanswered(facts.answers)]
    return [name for name, there in wanted if not there]

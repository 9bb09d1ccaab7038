"""Turns ledger events into timeline entries for people, in the reader's language. Pure but for the active language."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Kind = Literal["alert", "incident", "note", "change", "approval", "run", "resource", "other"]
Tone = Literal["critical", "warning", "ok", "accent", "neutral"]


class Happening(Protocol):
    """What a timeline needs of a ledger event."""

    @property
    def pk(self) -> Any:
        """The event's id: entries are paged by it."""

    at: datetime
    actor_name: str
    verb: str
    subject: str
    payload: Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timeline; `icon` is a lucide name, `tone` a status colour (never the only sign of a status)."""

    event_id: int
    at: datetime
    actor: str
    verb: str
    kind: Kind
    icon: str
    tone: Tone
    text: str
    ref: str


@dataclass(frozen=True, slots=True)
class _Line:
    """How one verb reads. `bare` is used when the payload lacks a fact of `full`."""

    kind: Kind
    icon: str
    tone: Tone
    full: str | Promise
    bare: str | Promise


LINES: dict[str, _Line] = {
    "alert.fired": _Line(
        "alert", "bell-ring", "critical", _("Alert %(alertname)s fires for %(instance)s."), _("An alert fires.")
    ),
    "alert.resolved": _Line(
        "alert", "bell-off", "ok", _("Alert %(alertname)s ended for %(instance)s."), _("An alert ended.")
    ),
    "alert.group_opened": _Line(
        "alert", "bell-ring", "critical", _("Alert group %(title)s opened."), _("An alert group opened.")
    ),
    "alert.group_changed": _Line(
        "alert", "bell-plus", "warning", _("More alerts joined %(title)s."), _("More alerts joined the group.")
    ),
    "alert.group_closed": _Line(
        "alert", "bell-off", "ok", _("All alerts of %(title)s ended."), _("All alerts of the group ended.")
    ),
    "incident.opened": _Line(
        "incident", "siren", "critical", _("Incident %(name)s was opened: %(title)s"), _("The incident was opened.")
    ),
    "incident.group_attached": _Line(
        "incident",
        "link",
        "warning",
        _("Alert group %(title)s joined. %(reason)s"),
        _("An alert group joined the incident."),
    ),
    "incident.acknowledged": _Line(
        "incident", "user-check", "accent", _("%(by)s takes care of it."), _("Somebody takes care of the incident.")
    ),
    "incident.mitigated": _Line(
        "incident", "shield-check", "ok", _("The impact has ended. %(comment)s"), _("The impact has ended.")
    ),
    "incident.recovered": _Line(
        "incident", "heart-pulse", "ok", _("All alerts have ended after %(minutes)s min."), _("All alerts have ended.")
    ),
    "incident.resolved": _Line(
        "incident", "circle-check", "ok", _("The incident is resolved. %(comment)s"), _("The incident is resolved.")
    ),
    "incident.reopened": _Line(
        "incident",
        "rotate-ccw",
        "critical",
        _("The incident was opened again. %(comment)s"),
        _("The incident was opened again."),
    ),
    "incident.noted": _Line("note", "message-square", "neutral", _("%(text)s"), _("A note was written.")),
    "incident.severity_raised": _Line(
        "incident", "trending-up", "warning", _("Severity rose from %(before)s to %(after)s."), _("Severity rose.")
    ),
    "incident.suspects_ranked": _Line(
        "incident",
        "search-check",
        "accent",
        _("First suspect now: %(first)s (%(score)s points)."),
        _("The suspects were ranked again."),
    ),
    "deployment.finished": _Line(
        "change",
        "rocket",
        "accent",
        _("%(service)s was released: %(previous_version)s → %(version)s"),
        _("A release was rolled out."),
    ),
    "approval.requested": _Line(
        "approval", "stamp", "accent", _("Approval asked for: %(action)s. %(reason)s"), _("An approval was asked for.")
    ),
    "approval.approved": _Line(
        "approval", "check", "ok", _("Approved: %(action)s. %(comment)s"), _("The request was approved.")
    ),
    "approval.rejected": _Line(
        "approval", "x", "warning", _("Rejected: %(action)s. %(comment)s"), _("The request was rejected.")
    ),
    "approval.expired": _Line(
        "approval", "hourglass", "warning", _("The approval of %(action)s expired."), _("The approval expired.")
    ),
    "run.requested": _Line(
        "run", "play", "accent", _("Procedure %(procedure)s was asked for."), _("A procedure was asked for.")
    ),
    "run.started": _Line("run", "play", "accent", _("Procedure %(procedure)s started."), _("A procedure started.")),
    "run.waiting": _Line(
        "run",
        "circle-question-mark",
        "warning",
        _("Procedure %(procedure)s waits for an answer."),
        _("A procedure waits."),
    ),
    "run.answered": _Line(
        "run",
        "message-circle-reply",
        "neutral",
        _("Procedure %(procedure)s got its answer."),
        _("A procedure got its answer."),
    ),
    "run.succeeded": _Line(
        "run", "circle-check", "ok", _("Procedure %(procedure)s succeeded."), _("A procedure succeeded.")
    ),
    "run.failed": _Line(
        "run", "circle-x", "critical", _("Procedure %(procedure)s failed: %(error)s"), _("A procedure failed.")
    ),
    "run.cancelled": _Line(
        "run", "ban", "warning", _("Procedure %(procedure)s was cancelled."), _("A procedure was cancelled.")
    ),
    "run.step_started": _Line("run", "chevrons-right", "neutral", _("Step %(step)s started."), _("A step started.")),
    "run.step_succeeded": _Line("run", "check", "neutral", _("Step %(step)s succeeded."), _("A step succeeded.")),
    "run.step_failed": _Line("run", "x", "critical", _("Step %(step)s failed: %(error)s"), _("A step failed.")),
    "notification.sent": _Line("alert", "send", "neutral", _("%(channel)s was notified."), _("A notice was sent.")),
    "notification.failed": _Line(
        "alert", "send", "warning", _("%(channel)s could not be notified: %(error)s"), _("A notice could not be sent.")
    ),
    "resource.changed": _Line(
        "resource", "pencil", "neutral", _("%(name)s changed: %(attribute)s"), _("A resource changed.")
    ),
}
# room of a subject -> how an event of a verb without a line of its own is drawn
_ROOMS: dict[str, tuple[Kind, str]] = {
    "alerting": ("alert", "bell"),
    "incidents": ("incident", "siren"),
    "changes": ("change", "git-commit-horizontal"),
    "runbooks": ("run", "book-open"),
    "inventory": ("resource", "server"),
    "core": ("other", "dot"),
}


def entry(event: Happening, *, facts: Mapping[str, Any] | None = None) -> Entry:
    """Return the entry of one event; `facts` adds to what its payload says (rendered reasons, names of refs).

    A verb without a line of its own is shown as it is; a payload that lacks a fact gives the shorter sentence.
    """
    payload = event.payload if isinstance(event.payload, Mapping) else {}
    known = {**_flat(payload), "by": event.actor_name, **(facts or {})}
    line = LINES.get(event.verb)
    if line is None:
        kind, icon = _ROOMS.get(event.subject.partition(".")[0], ("other", "dot"))
        line = _Line(kind, icon, "neutral", event.verb.replace("%", "%%"), event.verb)
    return Entry(
        event_id=int(event.pk),
        at=event.at,
        actor=event.actor_name,
        verb=event.verb,
        kind=line.kind,
        icon=line.icon,
        tone=line.tone,
        text=_sentence(line, known),
        ref=event.subject,
    )


def _sentence(line: _Line, known: Mapping[str, Any]) -> str:
    try:
        text = str(line.full) % known
    except (KeyError, ValueError, TypeError):
        text = str(line.bare)
    return text.strip()


def _flat(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload's own facts, and the labels of an alert beside them; None and empty facts count as missing."""
    labels = payload.get("labels")
    flat = {**labels, **payload} if isinstance(labels, Mapping) else dict(payload)
    return {key: value for key, value in flat.items() if value is not None and (value != "" or key in _MAY_BE_EMPTY)}


_MAY_BE_EMPTY = frozenset({"comment", "reason"})

"""Turns ledger events into timeline entries for people, in the reader's language. Pure but for the active language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Kind = Literal["alert", "incident", "note", "change", "approval", "run", "resource", "review", "other"]
Tone = Literal["critical", "warning", "ok", "accent", "neutral"]
Text = str | Promise


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
class Line:
    """How one verb reads: the first of `texts` whose facts are known; the last needs none."""

    kind: Kind
    icon: str
    tone: Tone
    texts: tuple[Text, ...]


def _line(kind: Kind, icon: str, tone: Tone, *texts: Text) -> Line:
    return Line(kind, icon, tone, texts)


_ALERTS: dict[str, Line] = {
    "alert.fired": _line(
        "alert",
        "bell-ring",
        "critical",
        _("Alert %(alertname)s fires: %(summary)s"),
        _("Alert %(alertname)s fires for %(place)s."),
        _("Alert %(alertname)s fires."),
        _("An alert fires."),
    ),
    "alert.resolved": _line(
        "alert",
        "bell-off",
        "ok",
        _("Alert %(alertname)s ended for %(place)s."),
        _("Alert %(alertname)s ended."),
        _("An alert ended."),
    ),
    "alert.acknowledged": _line(
        "alert", "user-check", "accent", _("Alert %(alertname)s was seen."), _("An alert was seen.")
    ),
    "alert.group_opened": _line(
        "alert", "bell-ring", "critical", _("Alert group %(key)s opened."), _("An alert group opened.")
    ),
    "alert.group_changed": _line(
        "alert", "bell-plus", "warning", _("More alerts joined %(key)s."), _("More alerts joined an alert group.")
    ),
    "alert.group_closed": _line(
        "alert", "bell-off", "ok", _("All alerts of %(key)s ended."), _("All alerts of an alert group ended.")
    ),
    "alert.group_acknowledged": _line(
        "alert", "user-check", "accent", _("Alert group %(key)s was seen."), _("An alert group was seen.")
    ),
    "alert.group_unacknowledged": _line(
        "alert",
        "user-x",
        "warning",
        _("The acknowledgement of %(of)s ended: reminders go on."),
        _("An acknowledgement ended: reminders go on."),
    ),
    "alert.group_held": _line(
        "alert",
        "bell-off",
        "neutral",
        _("Notices about %(key)s are held."),
        _("Notices about a group are held."),
    ),
    "alert.group_released": _line(
        "alert",
        "bell-ring",
        "warning",
        _("Notices about %(key)s are no longer held."),
        _("Notices about a group are no longer held."),
    ),
    "notification.sent": _line("alert", "send", "neutral", _("%(channel)s was notified."), _("A notice was sent.")),
    "notification.failed": _line(
        "alert", "send", "warning", _("%(channel)s could not be notified."), _("A notice could not be sent.")
    ),
}
_INCIDENTS: dict[str, Line] = {
    "incident.opened": _line(
        "incident", "siren", "critical", _("%(name)s was opened: %(title)s"), _("The incident was opened.")
    ),
    "incident.group_attached": _line(
        "incident",
        "link",
        "warning",
        _("Alert group %(title)s joined. %(reason)s"),
        _("An alert group joined the incident."),
    ),
    "incident.acknowledged": _line(
        "incident", "user-check", "accent", _("%(by)s takes care of it."), _("Somebody takes care of it.")
    ),
    "incident.mitigated": _line(
        "incident", "shield-check", "ok", _("The impact has ended: %(comment)s"), _("The impact has ended.")
    ),
    "incident.recovered": _line(
        "incident", "heart-pulse", "ok", _("All alerts have ended, after %(minutes)s min."), _("All alerts have ended.")
    ),
    "incident.resolved": _line(
        "incident", "circle-check", "ok", _("The incident is resolved: %(comment)s"), _("The incident is resolved.")
    ),
    "incident.reopened": _line(
        "incident",
        "rotate-ccw",
        "critical",
        _("The incident was opened again: %(comment)s"),
        _("The incident was opened again."),
    ),
    "incident.commander_changed": _line(
        "incident", "user-cog", "accent", _("%(by)s takes command."), _("The command has changed.")
    ),
    "comment.added": _line("note", "message-square", "neutral", "%(text)s", _("A comment was written.")),
    "attachment.added": _line(
        "note", "paperclip", "neutral", _("File %(name)s was attached."), _("A file was attached.")
    ),
    "incident.noted": _line("note", "message-square", "neutral", "%(text)s", _("A note was written.")),
    "incident.cause_named": _line(
        "incident",
        "rocket",
        "warning",
        _("Caused by %(title)s, says %(by)s."),
        _("A deployment was named as the cause."),
    ),
    "incident.cause_withdrawn": _line(
        "incident",
        "undo-2",
        "neutral",
        _("%(title)s is no longer named as the cause."),
        _("A deployment is no longer named as the cause."),
    ),
    "incident.severity_raised": _line(
        "incident",
        "trending-up",
        "warning",
        _("The severity rose from %(before)s to %(after)s."),
        _("The severity rose."),
    ),
    "incident.suspects_ranked": _line(
        "incident",
        "search-check",
        "accent",
        _("First suspect: %(first)s (%(score)s points)."),
        _("The suspects were ranked again."),
    ),
}
_CHANGES: dict[str, Line] = {
    "deployment.started": _line(
        "change", "rocket", "accent", _("A deployment began: %(title)s"), _("A deployment began.")
    ),
    "deployment.finished": _line(
        "change",
        "rocket",
        "accent",
        _("Deployment: %(title)s (%(status)s)"),
        _("%(service)s was deployed: %(version)s"),
        _("A service was deployed."),
    ),
    "resource.changed": _line(
        "resource", "pencil", "neutral", _("%(name)s changed: %(changed)s"), _("A resource changed.")
    ),
}
_RUNS: dict[str, Line] = {
    "approval.requested": _line(
        "approval",
        "stamp",
        "accent",
        _("%(by)s asks to run %(procedure)s on %(targets)s: %(reason)s"),
        _("%(by)s asks to run %(procedure)s on %(targets)s."),
        _("%(by)s asks to run %(procedure)s: %(reason)s"),
        _("%(by)s asks to run %(procedure)s."),
        _("%(by)s asks for approval: %(reason)s"),
        _("%(by)s asks for approval."),
        _("An approval was asked for."),
    ),
    "approval.approved": _line(
        "approval",
        "check",
        "ok",
        _("%(by)s approved: %(comment)s"),
        _("%(by)s approved."),
        _("The request was approved."),
    ),
    "approval.rejected": _line(
        "approval",
        "x",
        "warning",
        _("%(by)s rejected: %(comment)s"),
        _("%(by)s rejected."),
        _("The request was rejected."),
    ),
    "approval.expired": _line("approval", "hourglass", "warning", _("The approval expired.")),
    "approval.cancelled": _line("approval", "ban", "neutral", _("The request for approval was withdrawn.")),
    "run.requested": _line(
        "run", "play", "accent", _("%(by)s asks for procedure %(procedure)s."), _("A procedure was asked for.")
    ),
    "run.started": _line("run", "play", "accent", _("Procedure %(procedure)s started."), _("A procedure started.")),
    "run.waiting": _line(
        "run",
        "hourglass",
        "neutral",
        _("Procedure %(procedure)s waits at step %(step)s."),
        _("A procedure waits."),
    ),
    "run.answered": _line(
        "run",
        "message-circle-reply",
        "neutral",
        _("%(by)s answered procedure %(procedure)s."),
        _("A procedure got its answer."),
    ),
    "run.retried": _line(
        "run", "rotate-cw", "accent", _("Procedure %(procedure)s goes on."), _("A procedure goes on.")
    ),
    "run.step_finished": _line(
        "run",
        "list-checks",
        "neutral",
        _("Step %(step)s on %(target)s: %(state)s"),
        _("Step %(step)s: %(state)s"),
        _("A step ended."),
    ),
    "run.succeeded": _line(
        "run", "circle-check", "ok", _("Procedure %(procedure)s succeeded."), _("A procedure succeeded.")
    ),
    "run.previewed": _line(
        "run",
        "eye",
        "neutral",
        _("What procedure %(procedure)s would change was looked at."),
        _("What a procedure would change was looked at."),
    ),
    "run.paused": _line(
        "run",
        "octagon-x",
        "warning",
        _("Procedure %(procedure)s was paused."),
        _("A procedure was paused."),
    ),
    "run.resumed": _line(
        "run", "play", "accent", _("%(by)s resumed procedure %(procedure)s."), _("A person resumed the run.")
    ),
    "run.step_retried": _line(
        "run",
        "rotate-ccw",
        "warning",
        _("Step %(step)s of procedure %(procedure)s failed and is tried again."),
        _("A step failed and is tried again."),
    ),
    "run.failed": _line("run", "circle-x", "critical", _("Procedure %(procedure)s failed."), _("A procedure failed.")),
    "run.cancelled": _line(
        "run", "ban", "warning", _("Procedure %(procedure)s was cancelled."), _("A procedure was cancelled.")
    ),
}
_REVIEW: dict[str, Line] = {
    "incident.recurred": _line(
        "incident", "repeat", "warning", _("%(name)s is %(earlier)s again. %(reason)s"), _("It happened before.")
    ),
    "postmortem.started": _line("review", "notebook-pen", "accent", _("The postmortem was begun.")),
    "postmortem.prefilled": _line("review", "notebook-pen", "neutral", _("The facts of the postmortem were renewed.")),
    "postmortem.edited": _line("review", "notebook-pen", "neutral", _("The postmortem was written on.")),
    "postmortem.cause_added": _line("review", "notebook-pen", "neutral", _("A contributing cause was added.")),
    "postmortem.cause_changed": _line("review", "notebook-pen", "neutral", _("A contributing cause was changed.")),
    "postmortem.cause_removed": _line("review", "notebook-pen", "neutral", _("A contributing cause was removed.")),
    "postmortem.submitted": _line("review", "notebook-pen", "accent", _("The postmortem was sent to review.")),
    "postmortem.returned": _line(
        "review",
        "notebook-pen",
        "warning",
        _("The postmortem was returned to its writers: %(comment)s"),
        _("The postmortem was returned to its writers."),
    ),
    "postmortem.published": _line(
        "review",
        "book-check",
        "ok",
        _("The postmortem was published, edition %(edition)s."),
        _("The postmortem was published."),
    ),
    "postmortem.revised": _line("review", "notebook-pen", "accent", _("The postmortem is being revised.")),
    "improvement.added": _line(
        "review",
        "list-todo",
        "accent",
        _("Improvement %(name)s: %(title)s (%(owner)s, until %(due_on)s)"),
        _("An improvement was added."),
    ),
    "improvement.changed": _line(
        "review", "list-todo", "neutral", _("%(name)s was changed: %(changed)s"), _("An improvement was changed.")
    ),
    "improvement.removed": _line(
        "review", "list-todo", "neutral", _("%(name)s was removed: %(title)s"), _("An improvement was removed.")
    ),
    "improvement.begun": _line(
        "review", "hammer", "accent", _("Work on %(name)s began: %(title)s"), _("Work on an improvement began.")
    ),
    "improvement.proving": _line(
        "review",
        "shield-question-mark",
        "accent",
        _("%(name)s is finished; its check must stay green %(days)s whole days."),
        _("%(name)s is finished; another person is asked to agree."),
        _("An improvement is being proven."),
    ),
    "improvement.count_restarted": _line(
        "review",
        "rotate-ccw",
        "warning",
        _("The count of green days of %(name)s begins anew: %(day)s was not green."),
        _("A count of green days begins anew."),
    ),
    "improvement.consent_refused": _line(
        "review",
        "x",
        "warning",
        _("Closing %(name)s was not agreed to: %(comment)s"),
        _("Closing %(name)s was not agreed to."),
        _("Closing an improvement was not agreed to."),
    ),
    "improvement.done": _line(
        "review",
        "badge-check",
        "ok",
        _("%(name)s is done: its check stayed green %(days)s whole days."),
        _("%(name)s is done: another person agreed."),
        _("An improvement is done."),
    ),
    "improvement.drop_asked": _line(
        "review",
        "ban",
        "accent",
        _("Another person is asked to agree that %(name)s will not be done: %(reason)s"),
        _("It was asked not to do an improvement."),
    ),
    "improvement.drop_refused": _line(
        "review",
        "x",
        "warning",
        _("Not doing %(name)s was not agreed to: %(comment)s"),
        _("Not doing %(name)s was not agreed to."),
        _("Not doing an improvement was not agreed to."),
    ),
    "improvement.dropped": _line(
        "review",
        "ban",
        "warning",
        _("%(name)s will not be done, another person agreed: %(reason)s"),
        _("An improvement will not be done."),
    ),
    "improvement.reopened": _line(
        "review",
        "rotate-ccw",
        "critical",
        _("%(name)s is open again: it recurred in %(again_in)s."),
        _("%(name)s is open again: %(comment)s"),
        _("An improvement is open again."),
    ),
    "improvement.overdue": _line(
        "review",
        "alarm-clock",
        "warning",
        _("%(name)s is %(days)s days overdue (%(owner)s): %(title)s"),
        _("An improvement is overdue."),
    ),
}
LINES: dict[str, Line] = {**_ALERTS, **_INCIDENTS, **_CHANGES, **_RUNS, **_REVIEW}
# words of payloads that are part of a sentence
_WORDS: dict[str, dict[str, Text]] = {
    "status": {
        "succeeded": _("succeeded"),
        "failed": _("failed"),
        "cancelled": _("cancelled"),
        "running": _("running"),
    },
    "state": {
        "succeeded": _("succeeded"),
        "failed": _("failed"),
        "skipped": _("skipped"),
        "uncertain": _("uncertain"),
    },
    "before": {"critical": _("critical"), "major": _("major"), "warning": _("warning"), "info": _("information")},
    "after": {"critical": _("critical"), "major": _("major"), "warning": _("warning"), "info": _("information")},
}
_PLACES = ("instance", "service", "host", "job")
# room of a subject -> how an event of a verb without a line of its own is drawn
_ROOMS: dict[str, tuple[Kind, str]] = {
    "alerting": ("alert", "bell"),
    "incidents": ("incident", "siren"),
    "changes": ("change", "git-commit-horizontal"),
    "runbooks": ("run", "book-open"),
    "inventory": ("resource", "server"),
}


def entry(event: Happening, *, facts: Mapping[str, Any] | None = None) -> Entry:
    """Return the entry of one event; `facts` adds to what its payload says (rendered reasons, names of refs).

    A verb without a line of its own is shown as it is; a payload that lacks a fact gives a shorter sentence.
    """
    payload = event.payload if isinstance(event.payload, Mapping) else {}
    known = {**_facts(payload), **({"by": event.actor_name} if event.actor_name else {}), **(facts or {})}
    line = LINES.get(event.verb)
    if line is None:
        kind, icon = _ROOMS.get(event.subject.partition(".")[0], ("other", "dot"))
        line = Line(kind, icon, "neutral", (event.verb.replace("%", "%%"),))
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


def scope_facts(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return `procedure` and `targets` (comma separated, at most five) of an approval's scope, those that it names."""
    names = scope.get("targets")
    targets = [str(name) for name in names] if isinstance(names, list | tuple) else []
    shown = ", ".join(targets[:5]) + (" …" if len(targets) > 5 else "")
    return {name: text for name, text in (("procedure", str(scope.get("procedure") or "")), ("targets", shown)) if text}


def _sentence(line: Line, known: Mapping[str, Any]) -> str:
    for text in line.texts[:-1]:
        try:
            return str(text) % known
        except (KeyError, ValueError, TypeError):
            continue
    try:
        return str(line.texts[-1]) % known
    except (KeyError, ValueError, TypeError):
        return str(line.texts[-1])


def _facts(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload's facts that are not empty, with an alert's place, what changed, and what an approval is for."""
    known = {name: value for name, value in payload.items() if isinstance(value, str | int | float) and value != ""}
    for name, words in _WORDS.items():
        if str(known.get(name)) in words:
            known[name] = str(words[str(known[name])])
    labels = payload.get("labels")
    if isinstance(labels, Mapping):
        place = next((labels[name] for name in _PLACES if isinstance(labels.get(name), str) and labels[name]), None)
        if place is not None:
            known["place"] = place
    changes = payload.get("changes")
    if isinstance(changes, Mapping) and changes:
        known["changed"] = ", ".join(str(name) for name in sorted(changes)[:5])
    scope = payload.get("scope")
    if isinstance(scope, Mapping):
        known |= scope_facts(scope)
    return known

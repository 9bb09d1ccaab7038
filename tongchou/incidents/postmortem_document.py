"""A postmortem as a reader sees it: the snapshot's facts in the active language, people's own text as they wrote it.

Page, print and Markdown are drawn from this one reading, so they cannot say different things. Writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tongchou.incidents import reads, reasons, timeline
from tongchou.incidents.models import AffectedRole, Postmortem, Severity
from tongchou.usage import words
from tongchou.usage.models import Impact

SETTLED_AFTER = timedelta(minutes=5)
# section -> its title, and a hint that asks about the work instead of the person
SECTIONS: dict[str, tuple[str | Promise, str | Promise]] = {
    "summary": (
        gettext_lazy("Summary"),
        gettext_lazy("What happened, whom it hurt and what ended it, so that somebody who was not there understands."),
    ),
    "went_well": (
        gettext_lazy("What went well"),
        gettext_lazy("What helped: an alert, a procedure, a habit. It is worth keeping on purpose."),
    ),
    "went_badly": (
        gettext_lazy("What went badly"),
        gettext_lazy("What made it last or hurt more. Write what the system allowed and what was known then, not who."),
    ),
    "lucky": (
        gettext_lazy("Where we were lucky"),
        gettext_lazy("What saved us that nobody had planned. Luck is a gap that has not hurt yet."),
    ),
    "lessons": (
        gettext_lazy("Lessons"),
        gettext_lazy("What we know now about how this system behaves, that we did not know before."),
    ),
}
DURATIONS: dict[str, str | Promise] = {
    "detect": gettext_lazy("Time to detect"),
    "acknowledge": gettext_lazy("Time to acknowledge"),
    "mitigate": gettext_lazy("Time to mitigate"),
    "resolve": gettext_lazy("Time to resolve"),
}
INSTANTS: dict[str, str | Promise] = {
    "started": gettext_lazy("First symptom"),
    "detected": gettext_lazy("Detected"),
    "acknowledged": gettext_lazy("Acknowledged"),
    "mitigated": gettext_lazy("Mitigated"),
    "resolved": gettext_lazy("Resolved"),
}
SUPPRESSED: dict[str, str | Promise] = {
    "silenced": gettext_lazy("held back by a silence"),
    "held": gettext_lazy("held back by a change or maintenance"),
    "inhibited": gettext_lazy("held back by another alert"),
    "explained": gettext_lazy("explained by what it needs"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline. `note`: a remark that was added later; a hidden one stays in the record."""

    event_id: int
    at: datetime
    actor: str
    text: str
    kind: str
    icon: str
    tone: str
    hidden: bool
    note: str


@dataclass(frozen=True, slots=True)
class SuspectLine:
    """A suspect as it was ranked when the snapshot was taken."""

    rank: int
    ref: str
    title: str
    score: float
    reasons: list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Section:
    """One text of people."""

    name: str
    title: str
    hint: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """All of it; instants are aware, durations in seconds. `money` is a sentence, of no figure with the reason."""

    title: str
    severity: str
    taken_at: datetime
    instants: list[tuple[str, str, datetime | None]]
    durations: list[tuple[str, str, float | None]]
    money: str
    money_reason: str
    objectives: list[dict[str, Any]]
    affected: list[dict[str, Any]]
    suspects: list[SuspectLine]
    runs: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    suppressed: list[tuple[str, int]]
    notices: Mapping[str, int]
    moments: list[Moment]
    sections: list[Section]

    @property
    def shown(self) -> list[Moment]:
        """The moments that nobody hid."""
        return [each for each in self.moments if not each.hidden]


@dataclass(slots=True)
class _Told:
    """An event of the snapshot, in the form the timeline reads."""

    pk: int
    at: datetime
    actor_name: str
    verb: str
    subject: str
    payload: Any


def read(postmortem: Postmortem) -> Document:
    """Read the row in the active language; no query."""
    facts = postmortem.facts
    incident = facts["incident"]
    impact = facts["impact"]
    return Document(
        title=f"{incident['name']} {incident['title']}",
        severity=severity_word(incident["severity"]),
        taken_at=_instant(facts["taken_at"]) or postmortem.facts_at,
        instants=[(name, str(word), _instant(facts["instants"].get(name))) for name, word in INSTANTS.items()],
        durations=[(name, str(word), facts["durations"].get(name)) for name, word in DURATIONS.items()],
        money=_money(impact),
        money_reason=str(impact.get("reason", "")),
        objectives=facts["objectives"],
        affected=[each | {"role_word": role_word(each["role"])} for each in facts["affected"]],
        suspects=[_suspect(each) for each in facts["suspects"]],
        runs=[_run(each) for each in facts["runs"]],
        alerts=[_alert(each) for each in facts["alerts"]],
        suppressed=_suppressed(facts["alerts"]),
        notices=facts["notices"],
        moments=[_moment(each, postmortem.marks) for each in facts["timeline"]],
        sections=[
            Section(name, str(title), str(hint), getattr(postmortem, name)) for name, (title, hint) in SECTIONS.items()
        ],
    )


def unsettled(facts: Mapping[str, Any]) -> list[str]:
    """Which figures of a snapshot may still change: of "money", "budget". Pure.

    Money: a figure that was not final, or could not be asked. Budget: of an impact that had not ended, or whose end was
    younger than SETTLED_AFTER when the snapshot was taken (samples come late), or that could not be asked.
    """
    impact = facts["impact"]
    found = ["money"] if impact.get("reason") in ("", "failed") and not impact.get("final", False) else []
    taken, told = _instant(facts["taken_at"]), facts["instants"]
    ends = [each for name in ("mitigated", "resolved") if (each := _instant(told.get(name))) is not None]
    young = taken is None or not ends or taken < min(ends) + SETTLED_AFTER
    objectives = facts["objectives"]
    if objectives and (young or any(each["reason"] == "failed" for each in objectives)):
        found.append("budget")
    return found


def severity_word(word: str) -> str:
    """The word of a severity."""
    return str(dict(Severity.choices).get(word, word))


def role_word(word: str) -> str:
    """The word of an affected resource's role."""
    return str(dict(AffectedRole.choices).get(word, word))


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _money(told: Mapping[str, Any]) -> str:
    if told.get("reason") == "failed":
        return _("What this cost could not be asked: %(detail)s") % {"detail": told.get("detail", "")}
    row = Impact(currency=told["currency"], reason=told["reason"], inputs={"facts": told["facts"]}, final=told["final"])
    for name in ("lost", "low", "high", "expected", "actual", "caught_up"):
        setattr(row, name, None if told[name] is None else Decimal(told[name]))
    return words.sentence(row)


def _suspect(told: Mapping[str, Any]) -> SuspectLine:
    found = [(reasons.text(each["code"], each["params"]), float(each["weight"])) for each in told["reasons"]]
    return SuspectLine(told["rank"], told["ref"], told["title"], told["score"], found)


def _run(told: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: _instant(told[name]) for name in ("requested_at", "started_at", "finished_at", "approved_at")}
    return {**told, **times}


def _alert(told: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: _instant(told[name]) for name in ("active_at", "fired_at", "resolved_at")}
    held = str(SUPPRESSED.get(told["suppressed"], told["suppressed"]))
    return {**told, **times, "held": held}


def _suppressed(alerts: list[dict[str, Any]]) -> list[tuple[str, int]]:
    counted = Counter(each["suppressed"] for each in alerts if each["suppressed"])
    return [(str(SUPPRESSED.get(word, word)), number) for word, number in sorted(counted.items())]


def _moment(told: Mapping[str, Any], marks: Mapping[str, Any]) -> Moment:
    at = datetime.fromisoformat(told["at"])
    event = _Told(told["id"], at, told["actor"], told["verb"], told["subject"], told["payload"])
    entry: timeline.Entry = reads.entry(event)
    mark = marks.get(str(told["id"]), {})
    return Moment(
        event_id=told["id"],
        at=at,
        actor=told["actor"],
        text=entry.text,
        kind=entry.kind,
        icon=entry.icon,
        tone=entry.tone,
        hidden=bool(mark.get("hidden", False)),
        note=str(mark.get("note", "")),
    )

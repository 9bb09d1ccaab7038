"""What a person may say about an improvement, and what is wrong with it. Pure but for the PromQL parser."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.incidents import improvements_check as check
from tongchou.incidents.models import ImprovementKind, Priority
from tongchou.incidents.postmortem_facts import content_hash

MAX_DETAILS = 8000
LEAST_REASON = 10
MIN_DAYS, MAX_DAYS = 1, 365
INTERVALS = (60, 3600)
FIRST_DUE, LAST_DUE = date(2000, 1, 1), date(2100, 1, 1)


@dataclass(frozen=True, slots=True)
class Draft:
    """See models.Improvement. `owner` and `owner_team` are ids: exactly one of them; a check, or a reason for none."""

    title: str
    kind: str
    due_on: date
    priority: str = "2"
    details: str = ""
    owner: UUID | None = None
    owner_team: UUID | None = None
    cause: UUID | None = None
    resource: UUID | None = None
    check_query: str = ""
    check_is: str = ""
    green_days: int = 14
    interval_seconds: int = 300
    no_check_reason: str = ""

    @property
    def check(self) -> tuple[str, str, int, int]:
        """What the proof rests on; when it alters, the count begins anew."""
        return self.check_query, self.check_is, self.green_days, self.interval_seconds


def refuse_unless_good(draft: Draft) -> None:
    """Raise Invalid for the first field that will not do."""
    for found in (_about(draft), _proof(draft)):
        if found is not None:
            field, value, detail, remedy = found
            raise Invalid("improvement.invalid", detail, field=field, value=value, remedy=remedy or None)


Wrong = tuple[str, Any, str | Promise, str | Promise]


def _about(draft: Draft) -> Wrong | None:
    if not draft.title.strip() or len(draft.title) > 200:
        return "title", draft.title[:80], _("A title has 1 to 200 characters."), _("Say what will be different.")
    if len(draft.details) > MAX_DETAILS:
        return "details", None, _("At most %(most)s characters.") % {"most": MAX_DETAILS}, ""
    if draft.kind not in ImprovementKind.values:
        return "kind", draft.kind, _("One of: %(words)s.") % {"words": ", ".join(ImprovementKind.values)}, ""
    if draft.priority not in Priority.values:
        return "priority", draft.priority, _("One of: %(words)s.") % {"words": ", ".join(Priority.values)}, ""
    if (draft.owner is None) == (draft.owner_team is None):
        return (
            "owner",
            None,
            _("An improvement has one owner: a person or a team."),
            _("What belongs to everybody is done by nobody."),
        )
    if not FIRST_DUE <= draft.due_on <= LAST_DUE:
        return "due_on", draft.due_on, _("This is no day to work towards."), _("Choose a day in the next months.")
    return None


def _proof(draft: Draft) -> Wrong | None:
    if not draft.check_query:
        if draft.check_is:
            return "check_query", "", _("A condition without a query says nothing."), _("Write the query.")
        if len(draft.no_check_reason.strip()) < LEAST_REASON or len(draft.no_check_reason) > MAX_DETAILS:
            return (
                "no_check_reason",
                draft.no_check_reason[:80],
                _("Without a check it needs a written reason of at least %(least)s characters.")
                % {"least": LEAST_REASON},
                _("Better: write a PromQL query that shows that it works."),
            )
        return None
    wrong = check.mistake(draft.check_query, draft.check_is)
    if wrong is not None:
        field, detail, remedy = wrong
        return field, getattr(draft, field)[:200], detail, remedy
    if not MIN_DAYS <= draft.green_days <= MAX_DAYS:
        limits = {"least": MIN_DAYS, "most": MAX_DAYS}
        return "green_days", draft.green_days, _("From %(least)s to %(most)s days.") % limits, ""
    least, most = INTERVALS
    if not least <= draft.interval_seconds <= most or 86_400 % draft.interval_seconds:
        return (
            "interval_seconds",
            draft.interval_seconds,
            _("From %(least)s to %(most)s seconds, and a whole number of looks in a day.")
            % {"least": least, "most": most},
            _("For example 300."),
        )
    return None


def consent_hash(*, number: int, title: str, details: str, reason: str) -> str:
    """What the second person consents to when there is no check."""
    return content_hash({"number": number, "title": title, "details": details, "reason": reason})

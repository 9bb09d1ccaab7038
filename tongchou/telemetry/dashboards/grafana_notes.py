"""What of a Grafana dashboard was not taken over as it is: where, what, why. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Text
from tongchou.telemetry.dashboards.grafana_words import LOOKS
from tongchou.telemetry.dashboards.taken import Taken, shown

Weight = Literal["lost", "changed", "look"]
DASHBOARD: Text = _("Dashboard")


@dataclass(frozen=True)
class Note:
    """One thing. `where`: the panel or variable it stands in; `what`: its key and value; `why` not, or how now."""

    weight: Weight
    where: str
    what: str
    why: Text


# why something is lost, by the first key of its place; what is not here has no counterpart
REASONS: dict[str, Text] = {
    "transformations": _("The answer of a query is shown as it comes. Do it in PromQL."),
    "overrides": _("A panel has one unit and one set of thresholds for all of its series."),
    "repeat": _("A panel is shown once. Choose several values of the variable instead."),
    "links": _("Links of panels and dashboards are not kept. Write them into a text panel."),
    "dataLinks": _("Links of panels and dashboards are not kept. Write them into a text panel."),
    "alert": _("Alerts are rules here: write one under Alerts."),
    "seriesOverrides": _("All series of a panel are drawn in one way."),
    "timeShift": _("A panel shows the time range of the page. Write offset into the query."),
    "timeFrom": _("A panel shows the time range of the page."),
    "interval": _("The step follows from the time range and the width of the panel."),
    "maxDataPoints": _("The step follows from the time range and the width of the panel."),
    "libraryPanel": _("A panel of Grafana's library is not in the file. Import what it was made from."),
    "auto": _("There is no automatic value. Queries may name $__interval."),
}


@dataclass
class Notes:
    """Notes as they are found."""

    all: list[Note] = field(default_factory=list)
    looks: set[str] = field(default_factory=set)

    def lost(self, where: object, what: str, why: Text) -> None:
        """Something is not there afterwards."""
        self.all.append(Note("lost", str(where), what, why))

    def changed(self, where: object, what: str, why: Text) -> None:
        """Something is there, and another way."""
        self.all.append(Note("changed", str(where), what, why))

    def rest(self, where: object, scope: str, taken: Taken, prefix: str = "") -> None:
        """Tell everything that nobody took of an object; what only says how it looks is told together."""
        for place, value in taken.left():
            first = place.partition(".")[0].partition("[")[0]
            if first in LOOKS[scope]:
                self.looks.add(first)
            else:
                why = REASONS.get(first) or REASONS.get(place.rpartition(".")[2])
                self.lost(where, f"{prefix}{place}: {shown(value)}", why or _("There is nothing like it here."))

    def clipped(self, where: object, what: str, text: str, most: int) -> str:
        """Return at most `most` characters, and tell when that is not all."""
        if len(text) <= most:
            return text
        self.changed(where, f"{what}: {shown(text)}", _("It is too long, and was cut."))
        return text[:most]

    def done(self) -> tuple[Note, ...]:
        """Return all notes, what looks different last."""
        if not self.looks:
            return tuple(self.all)
        looks = Note(
            "look", str(DASHBOARD), ", ".join(sorted(self.looks)), _("Panels look as this platform draws them.")
        )
        return (*self.all, looks)

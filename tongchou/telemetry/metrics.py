"""What PromQL reads: the own store, or that and a server of others which the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tongchou.core.registry import implementations
from tongchou.telemetry import ports
from tongchou.telemetry.backend import backend
from tongchou.telemetry.ports import Backend, Limits
from tongchou.telemetry.series import METRIC_NAME, Labels, Matcher, SeriesBlock

MatcherSets = Sequence[Sequence[Matcher]]
OWN_PREFIX = "tongchou_"
OWN_NAMES = frozenset(("ALERTS", "ALERTS_FOR_STATE"))


def metrics() -> Backend:
    """The metrics of this platform. Raises what `backend` raises."""
    own = backend()
    known = implementations(ports.RemoteBackend)  # type: ignore[type-abstract]  # a Protocol as key
    found = [each for each in known if each.configured]
    return Joined(own, found[0]) if found else own


def _only_own(matchers: Sequence[Matcher]) -> bool:
    """Whether only series that this platform makes can be meant: its own state must be seen with the server dead."""
    return any(
        each.name == METRIC_NAME and each.op == "=" and (each.value in OWN_NAMES or each.value.startswith(OWN_PREFIX))
        for each in matchers
    )


class Joined:
    """Two backends as one. Where both have a series (the same labels), that of the own store counts."""

    def __init__(self, own: Backend, other: Backend) -> None:
        self.own, self.other = own, other

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, limits: Limits) -> SeriesBlock:
        """Samples of both; the limits hold for both together."""
        mine = self.own.select(matchers, start_ms, end_ms, limits=limits)
        if _only_own(matchers):
            return mine
        left = replace(limits, max_samples=limits.max_samples - mine.sample_count)
        theirs = self.other.select(matchers, start_ms, end_ms, limits=left)
        if not len(mine):
            return theirs
        known = set(mine.labels)
        rows = [(labels, *mine.samples(at)) for at, labels in enumerate(mine.labels)]
        rows += [(labels, *theirs.samples(at)) for at, labels in enumerate(theirs.labels) if labels not in known]
        return SeriesBlock.build(rows)

    def series(self, matcher_sets: MatcherSets, start_ms: int, end_ms: int, *, limits: Limits) -> list[Labels]:
        """Labels of the series of both."""
        mine = self.own.series(matcher_sets, start_ms, end_ms, limits=limits)
        return sorted({*mine, *self.other.series(matcher_sets, start_ms, end_ms, limits=limits)})

    def label_names(self, matcher_sets: MatcherSets, start_ms: int, end_ms: int, *, limits: Limits) -> list[str]:
        """Sorted label names of both."""
        mine = self.own.label_names(matcher_sets, start_ms, end_ms, limits=limits)
        return sorted({*mine, *self.other.label_names(matcher_sets, start_ms, end_ms, limits=limits)})

    def label_values(
        self, name: str, matcher_sets: MatcherSets, start_ms: int, end_ms: int, *, limits: Limits
    ) -> list[str]:
        """Sorted values of one label of both."""
        mine = self.own.label_values(name, matcher_sets, start_ms, end_ms, limits=limits)
        return sorted({*mine, *self.other.label_values(name, matcher_sets, start_ms, end_ms, limits=limits)})

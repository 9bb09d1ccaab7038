"""What telemetry asks of the world: a place that keeps samples and gives them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from tongchou.telemetry.buckets import Grid, RolledSeries
from tongchou.telemetry.series import Labels, Matcher, SeriesBlock


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one query may take before it is refused with an error that names the limit.

    max_samples counts samples read from the backend plus points held by intermediate results of one query.
    """

    max_samples: int = 50_000_000
    max_series: int = 100_000
    max_steps: int = 11_000
    timeout_seconds: float = 30.0
    max_memory_bytes: int = 1_000_000_000


@runtime_checkable
class Backend(Protocol):
    """A store of samples that PromQL can read. Times are milliseconds since the epoch; intervals are closed."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, limits: Limits) -> SeriesBlock:
        """Samples with start_ms <= ts <= end_ms of the series that satisfy every matcher; no lookback is added.

        Series without a sample in the interval may be left out. Raises a Problem when a limit is passed.
        """
        ...

    def series(
        self, matcher_sets: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int, *, limits: Limits
    ) -> list[Labels]:
        """Labels of the series that satisfy any of the sets (all series when there is no set)."""
        ...

    def label_names(
        self, matcher_sets: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int, *, limits: Limits
    ) -> list[str]:
        """Sorted names of the labels of those series."""
        ...

    def label_values(
        self, name: str, matcher_sets: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int, *, limits: Limits
    ) -> list[str]:
        """Sorted values that one label takes on those series."""
        ...


MEMBER = "\0member"  # leads the labels of series that were found by many selectors: which of them it was


class ManyMatchers:
    """The matchers of many selectors that are asked again and again; a backend keeps what it finds out in `memo`."""

    __slots__ = ("memo", "sets")

    def __init__(self, sets: Sequence[Sequence[Matcher]]) -> None:
        self.sets = sets
        self.memo: Any = None


@runtime_checkable
class EachBackend(Backend, Protocol):
    """A backend that answers many selectors by one read."""

    def select_each(self, many: ManyMatchers, start_ms: int, end_ms: int, *, limits: Limits) -> SeriesBlock | None:
        """As `select` for each of the selectors, one after the other in one block.

        The labels of every series begin with (MEMBER, number of the selector). None: they must be asked one by one.
        """
        ...


@runtime_checkable
class RemoteBackend(Backend, Protocol):
    """A server of others that metrics are read from, beside the own store. Raises Unavailable when it is not there."""

    @property
    def configured(self) -> bool:
        """Whether the settings name one."""
        ...


@runtime_checkable
class RolledBackend(Backend, Protocol):
    """A backend that also keeps buckets of samples, so that long ranges need not read every sample."""

    def rolled_from_ms(self, start_ms: int) -> list[tuple[int, int]]:
        """(width in ms, the oldest time it is kept for) of the buckets that reach furthest towards `start_ms`.

        Coarsest first; [] when nothing is rolled.
        """
        ...

    def raw_from_ms(self) -> int:
        """Samples older than this are kept in buckets only."""
        ...

    def sample_estimate(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> int:
        """About how many samples `select` would read."""
        ...

    def select_buckets(
        self,
        matchers: Sequence[Matcher],
        width_ms: int,
        grid: Grid,
        fields: Sequence[str],
        *,
        edges: Sequence[int] = (),
        limits: Limits,
    ) -> RolledSeries | None:
        """The buckets (with these `buckets.FIELDS`) under the windows of a grid; others may be among them.

        The edges of the windows are edges of buckets. Instead of buckets that end at `edges` come their samples, each
        as a bucket that ends where it is. None: too little is rolled, read samples.
        """
        ...

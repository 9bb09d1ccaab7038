"""What telemetry asks of the world: a place that keeps samples and gives them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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

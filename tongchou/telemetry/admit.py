"""What may come in: names, sizes and times of series and samples. Pure decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tongchou.telemetry.series import METRIC_NAME, Labels, labels_of

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_LABELS = 64
MAX_LABEL_NAME_LENGTH = 256
MAX_LABEL_VALUE_LENGTH = 4096
MAX_HELP_LENGTH = 2000  # of a metric family; the rest is cut off
NATIVE_HISTOGRAMS = "native histograms are not supported"
SOURCE_SERIES_LIMIT = "the source has as many active series as it may (metrics.source_max_series)"
SOURCE_RATE_LIMIT = "the source sends more samples a second than it may (metrics.source_max_samples_per_second)"
SERIES_LIMIT = "the store holds as many series as it may"


@dataclass(slots=True)
class Refusals:
    """How many samples were refused, by reason, with one example each."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, count: int, example: str = "") -> None:
        """Count `count` samples refused for `reason`."""
        if count:
            self.counts[reason] = self.counts.get(reason, 0) + count
            self.examples.setdefault(reason, example[:200])

    @property
    def total(self) -> int:
        """All refused samples."""
        return sum(self.counts.values())

    def __str__(self) -> str:
        parts = []
        for reason, count in sorted(self.counts.items()):
            example = self.examples[reason]
            parts.append(f"{count} samples: {reason}" + (f" (e.g. {example})" if example else ""))
        return "; ".join(parts)


def canonical(pairs: Sequence[tuple[str, str]]) -> Labels | str:
    """The labels in canonical form, or the reason (a sentence) why a series may not have them.

    Names may be any text, as in Prometheus 3.
    """
    if len(pairs) > MAX_LABELS:
        return f"more than {MAX_LABELS} labels"
    seen: set[str] = set()
    for name, value in pairs:
        if name in seen:
            return "label name twice"
        seen.add(name)
        if len(name) > MAX_LABEL_NAME_LENGTH:
            return f"label name over {MAX_LABEL_NAME_LENGTH} characters"
        if len(value) > MAX_LABEL_VALUE_LENGTH:
            return f"label value over {MAX_LABEL_VALUE_LENGTH} characters"
        if not name:
            return "not a label name"
        if name == METRIC_NAME and not value:
            return "no metric name"
    if METRIC_NAME not in seen:
        return "no metric name"
    return labels_of(pairs)


def shown(pairs: Sequence[tuple[str, str]]) -> str:
    """Labels for a message."""
    return "{" + ", ".join(f"{name}={value!r}" for name, value in list(pairs)[:10]) + "}"

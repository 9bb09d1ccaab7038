"""Rule files and evaluations without a telemetry store: the samples come from a table in the test."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

import pytest

from tongchou.alerting import duties
from tongchou.alerting.duties import GroupMemory, evaluate_group, load_groups
from tongchou.core.problems import Invalid
from tongchou.telemetry.reads import Sample
from tongchou.telemetry.series import SeriesBlock

START = 1_750_000_000.0


class Store:
    """Answers expressions from a table and keeps what was appended."""

    def __init__(self) -> None:
        self.answers: dict[str, Sequence[tuple[Mapping[str, str], float]] | Exception] = {}
        self.written: list[tuple[dict[str, str], int, float]] = []
        self.refuse: Exception | None = None

    def instant_vector(self, query: str, at: dt.datetime | None = None, **_more: object) -> list[Sample]:
        found = self.answers.get(query, [])
        if isinstance(found, Exception):
            raise found
        return [Sample(dict(labels), value, at or dt.datetime.now(dt.UTC)) for labels, value in found]

    def append(self, block: SeriesBlock, *, actor: object, wait: bool = True) -> None:
        if self.refuse is not None:
            raise self.refuse
        for number, labels in enumerate(block.labels):
            place = int(block.offsets[number])
            self.written.append((dict(labels), int(block.ts[place]), float(block.v[place])))

    def fail(self, query: str) -> None:
        self.answers[query] = Invalid("telemetry.execution_error", "the query failed")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store of this test alone, in place of telemetry."""
    made = Store()
    monkeypatch.setattr(duties, "instant_vector", made.instant_vector)
    monkeypatch.setattr(duties, "screened", lambda *_asked, **_shared: {})  # each is asked for itself
    monkeypatch.setattr(duties, "append", made.append)
    return made


class Evaluations:
    """Evaluates all groups at given seconds after START, as the duty does; ``restart`` forgets what a process remembers."""

    def __init__(self) -> None:
        self.memory: dict[object, GroupMemory] = {}

    def at(self, seconds: float) -> None:
        for group in load_groups():
            evaluate_group(group, self.memory.setdefault(group.id, GroupMemory()), START + seconds)

    def restart(self) -> None:
        self.memory = {}


@pytest.fixture
def evaluations(store: Store) -> Evaluations:
    """The evaluator under the test's clock."""
    return Evaluations()


@pytest.fixture
def rules() -> Callable[..., str]:
    """Makes the text of a rule file with one group."""

    def make(*bodies: str, group: str = "g", extra: str = "") -> str:
        text = f"groups:\n- name: {group}\n  interval: 1s\n{extra}  rules:\n"
        return text + "".join(f"  - {body.strip()}\n".replace("\n", "\n    ").rstrip(" ") for body in bodies)

    return make

"""What a release does next, from how its batches and their runs stand. Pure.

Batches are done one after the other, services too. A batch that fails, or a check that says no, ends the way forward:
the release goes back over everything it touched, the last first, or pauses where that is wanted or cannot be done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tongchou.changes.models_release import PieceState, ReleaseState

P, R = PieceState, ReleaseState
RunIs = Literal["", "active", "succeeded", "failed"]
Verdict = Literal["yes", "no", "unknown"]
Kind = Literal[
    "wait", "begin", "bake", "done", "fail", "confirm", "ask", "item_done", "succeed",
    "begin_back", "batch_back", "left", "end_back",
]  # fmt: skip
TOUCHED = frozenset({P.RUNNING, P.BAKING, P.DONE, P.FAILED, P.ROLLING_BACK})
ENDED = frozenset({R.SUCCEEDED, R.ROLLED_BACK, R.FAILED, R.CANCELLED})
OPEN = frozenset({R.DRAFT, R.AUTHORIZE, R.READY})
MOVING = frozenset({R.RUNNING, R.ROLLING_BACK})
WAYS: Mapping[str, frozenset[ReleaseState]] = {
    R.DRAFT: frozenset({R.AUTHORIZE, R.READY, R.CANCELLED}),
    R.AUTHORIZE: frozenset({R.READY, R.DRAFT, R.CANCELLED}),
    R.READY: frozenset({R.RUNNING, R.DRAFT, R.CANCELLED}),
    R.RUNNING: frozenset({R.PAUSED, R.ROLLING_BACK, R.SUCCEEDED}),
    R.PAUSED: frozenset({R.RUNNING, R.ROLLING_BACK, R.FAILED}),
    R.ROLLING_BACK: frozenset({R.PAUSED, R.ROLLED_BACK, R.FAILED}),
}


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch: `run` and `back` say how its runs stand, `baked` that its time is over, `verdict` what checks say."""

    number: int
    state: str = P.WAITING
    run: RunIs = ""
    back: RunIs = ""
    baked: bool = False
    verdict: Verdict = "yes"
    why: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """A service; `confirm_after` batches a person says go on (0: never)."""

    position: int
    batches: Sequence[Batch]
    state: str = P.WAITING
    confirm_after: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """The release. `confirmed`: up to which item a person said go on. `together`: all go back when one does."""

    state: str
    items: Sequence[Item]
    confirmed: int = 0
    together: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done, to which item and batch, and why."""

    kind: Kind
    item: int = 0
    batch: int = 0
    why: Mapping[str, Any] = field(default_factory=dict)


WAIT = Step("wait")


def decide(view: View) -> Step:
    """Return the next step; "wait" while a run is under way, a batch bakes, or nothing moves by itself."""
    if view.state == R.RUNNING:
        return _forward(view)
    return _back(view) if view.state == R.ROLLING_BACK else WAIT


def _forward(view: View) -> Step:
    for item in view.items:
        if item.state == P.DONE:
            continue
        for batch in item.batches:
            if batch.state != P.DONE:
                return _of_batch(view, item, batch)
        return Step("item_done", item.position)
    return Step("succeed")


def _of_batch(view: View, item: Item, batch: Batch) -> Step:
    here = (item.position, batch.number)
    if batch.state == P.WAITING:
        if batch.run == "active":  # cancelled in the middle of a step: the next try waits for its end
            return WAIT
        asks = 0 < item.confirm_after < batch.number and view.confirmed < item.position
        return Step("confirm" if asks else "begin", *here)
    if batch.state not in (P.RUNNING, P.BAKING):
        return Step("fail", *here, why=batch.why or {"code": "batch_failed"})
    if batch.run == "failed":
        return Step("fail", *here, why={"code": "run_failed"})
    if batch.verdict == "no":
        return Step("fail", *here, why=batch.why)
    if batch.state == P.RUNNING:
        return Step("bake", *here) if batch.run == "succeeded" else WAIT
    if not batch.baked:
        return WAIT
    return Step("ask", *here, why=batch.why) if batch.verdict == "unknown" else Step("done", *here)


def going_back(view: View) -> list[tuple[Item, Batch]]:
    """Return what is to be taken back, the last first: of all services, or of the one that is not done."""
    items = [each for each in view.items if view.together or each.state != P.DONE]
    return [
        (item, batch) for item in reversed(items) for batch in reversed(item.batches) if batch.state in TOUCHED
    ]  # fmt: skip


def _back(view: View) -> Step:
    for item, batch in going_back(view):
        here = (item.position, batch.number)
        if batch.state != P.ROLLING_BACK:
            return WAIT if batch.run == "active" else Step("begin_back", *here)
        if batch.back == "succeeded":
            return Step("batch_back", *here)
        return Step("left", *here, why={"code": "run_failed"}) if batch.back == "failed" else WAIT
    return Step("end_back")

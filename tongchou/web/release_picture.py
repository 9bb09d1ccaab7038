"""What the page of a release draws: a box for each batch in order, what its checks say, what a button would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from tongchou.changes.models_release import PieceState, Release, ReleaseBatch, ReleaseItem, ReleaseState
from tongchou.changes.release import actions, machine, reads, words

P, S = PieceState, ReleaseState
NAMED = 8  # targets of a batch that are named in its box
# state of a batch or item -> status word: it has a colour and a shape
PIECES = {
    P.WAITING: "todo",
    P.RUNNING: "running",
    P.BAKING: "baking",
    P.DONE: "done",
    P.FAILED: "failed",
    P.ROLLING_BACK: "rolling_back",
    P.ROLLED_BACK: "rolled_back",
    P.LEFT: "left",
    P.SKIPPED: "skipped",
}
WAY = (S.DRAFT, S.AUTHORIZE, S.READY, S.RUNNING, S.SUCCEEDED)  # as it goes when all is well
TURNS = {  # what stands in the place of a step when it goes otherwise
    S.PAUSED: S.RUNNING,
    S.ROLLING_BACK: S.RUNNING,
    S.ROLLED_BACK: S.SUCCEEDED,
    S.FAILED: S.SUCCEEDED,
}
VERDICTS: Mapping[str, tuple[str, str | Promise]] = {
    "yes": ("ok", pgettext_lazy("check", "holds")),
    "no": ("critical", gettext_lazy("does not hold")),
    "unknown": ("warning", gettext_lazy("no answer")),
    "": ("unknown", gettext_lazy("not asked yet")),
}


@dataclass(frozen=True)
class Box:
    """A batch as it is drawn. `bake`: (seconds gone, seconds in all, until when) while it is watched."""

    row: ReleaseBatch
    word: str
    names: list[str]
    more: int
    bake: tuple[float, int, datetime] | None
    why: str

    @property
    def everyone(self) -> str:
        """All of its targets by name."""
        return ", ".join(each["name"] for each in self.row.targets)


@dataclass(frozen=True)
class Said:
    """A check of a service, with what it said last: (status word, text), and what was seen."""

    name: str
    wanted: str
    verdict: tuple[str, str | Promise]
    shown: str
    always: bool


@dataclass
class Train:
    """A service of a release as it is drawn."""

    item: ReleaseItem
    word: str
    boxes: list[Box]
    done: int
    checks: list[Said]
    way_back: bool
    touched: bool = False
    rollout: Mapping[str, Any] = field(default_factory=dict)


def steps(state: str) -> list[dict[str, Any]]:
    """Return the way of a release in this state: what lies behind it, where it is, what comes when all is well."""
    here = S(state)
    if here == S.CANCELLED:
        way: list[ReleaseState] = [S.DRAFT, S.CANCELLED]
    else:
        way = [here if TURNS.get(here) == each else each for each in WAY]
    at = way.index(here)
    return [{"word": each.label, "here": n == at, "passed": n < at} for n, each in enumerate(way)]


@dataclass(frozen=True)
class Summary:
    """A service of a release in one line: what an approver agrees to."""

    item: ReleaseItem
    targets: int
    sizes: list[int]
    procedure: str
    back: str
    checks: int


def summary(release: Release) -> list[Summary]:
    """Return what a release would do, a line a service, as it was planned. Two queries."""
    found = []
    told = release.content.get("items", [])
    for item, said in zip(reads.items(release), told, strict=False):
        sizes = [len(each["targets"]) for each in said["batches"]]
        rollout = said["rollout"]
        back = rollout["rollback"][0] if rollout["rollback"] else ""
        found.append(Summary(item, sum(sizes), sizes, rollout["procedure"][0], back, len(rollout["checks"])))
    return found


def trains(release: Release, items: Sequence[ReleaseItem], now: datetime) -> list[Train]:
    """Return what is drawn of each service, in order. No query: `reads.items` has read everything."""
    return [_train(release, item, now) for item in items]


def _train(release: Release, item: ReleaseItem, now: datetime) -> Train:
    told = release.content.get("items", [])
    rollout = told[item.position - 1]["rollout"] if item.position <= len(told) else {}
    batches = reads.batches_of(item)
    return Train(
        item=item,
        word=PIECES[P(item.state)],
        boxes=[_box(each, int(rollout.get("bake_seconds", 0)), now) for each in batches],
        done=sum(each.state == P.DONE for each in batches),
        checks=_checks(rollout.get("checks", []), batches),
        way_back=actions.has_way_back(release, item),
        touched=any(each.state in machine.TOUCHED for each in batches),
        rollout=rollout,
    )


def _box(row: ReleaseBatch, bake_seconds: int, now: datetime) -> Box:
    names = [each["name"] for each in row.targets]
    shown = names if len(names) <= NAMED else names[: NAMED - 1]
    bake = None
    if row.state == P.BAKING and row.bakes_since is not None and bake_seconds:
        gone = max(0.0, (now - row.bakes_since).total_seconds())
        bake = (min(gone, bake_seconds), bake_seconds, row.bakes_since + timedelta(seconds=bake_seconds))
    return Box(row, PIECES[P(row.state)], shown, len(names) - len(shown), bake, words.sentence(row.reason))


def _checks(wanted: Sequence[Mapping[str, Any]], batches: Sequence[ReleaseBatch]) -> list[Said]:
    """The checks of a service with what they said last: in the last batch that was asked about."""
    last: list[dict[str, Any]] = next((each.checks for each in reversed(batches) if each.checks), [])
    found = []
    for number, check in enumerate(wanted):
        seen = last[number] if number < len(last) else {}
        name = check.get("says") or check.get("query") or check.get("objective") or ""
        said = seen.get("verdict", "")
        found.append(
            Said(
                name=str(name),
                wanted=str(check.get("is") or seen.get("is") or ""),
                verdict=VERDICTS.get(said, VERDICTS[""]),
                shown=", ".join(seen.get("shown", [])),
                always=bool(check.get("always")),
            )
        )
    return found


def state_words(release: Release) -> str:
    """Return what the state of a release means for who reads it, in one sentence."""
    texts: dict[str, str] = {
        S.DRAFT: _("It is planned. Ask for consent next, or let a change carry it out."),
        S.AUTHORIZE: _("Another person is asked to agree to exactly this."),
        S.READY: _("It is agreed on and begins when somebody starts it."),
        S.RUNNING: _("One batch after the other; each is watched before the next begins."),
        S.PAUSED: _("It is paused: the run under way is brought to its end, no other begins."),
        S.ROLLING_BACK: _("What was touched is taken back, the last batch first."),
        S.SUCCEEDED: _("Every batch is done."),
        S.ROLLED_BACK: _("Everything it touched is as it was before."),
        S.FAILED: _("It ended, and something stayed altered."),
        S.CANCELLED: _("It was withdrawn before it began."),
    }
    if release.change is not None and release.state == S.READY:
        return _("It begins when somebody starts it while %(name)s is being implemented.") % {
            "name": release.change.name
        }
    return texts[release.state]


def resume_words(release: Release, found: Sequence[Train]) -> str:
    """Return what going on would do to a release that is paused."""
    states = {box.row.state for train in found for box in train.boxes}
    if states & {P.ROLLING_BACK, P.ROLLED_BACK, P.LEFT}:
        return _("Go on with the way back")
    if release.outcome.get("code") == "confirm":
        return _("Go on with the next batches")
    if P.FAILED in states:
        return _("Try the failed batch again")
    if P.BAKING in states:
        return _("Watch the batch anew and go on")
    return _("Go on")


def back_words(release: Release, found: Sequence[Train]) -> tuple[int, list[str]]:
    """Return how many batches would be taken back, and the services of which nobody knows the way back."""
    going = [each for each in found if each.touched and (release.together or each.item.state != P.DONE)]
    count = sum(box.row.state in machine.TOUCHED for each in going for box in each.boxes)
    return count, [each.item.service.name for each in going if not each.way_back]

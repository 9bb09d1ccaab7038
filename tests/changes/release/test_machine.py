"""The way of a release for every history of runs and checks: each batch is done once, and nothing touched is forgotten."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.changes.models_release import PieceState as P
from tongchou.changes.models_release import ReleaseState as R
from tongchou.changes.release.machine import ENDED, WAYS, Batch, Item, Step, View, decide


class World:
    """A release that is driven to its end; what happens to each run is drawn."""

    def __init__(self, sizes: list[int], draw: st.DataObject, *, together: bool, confirm_after: int) -> None:
        self.draw = draw
        self.begun: list[tuple[int, int]] = []
        self.taken_back: list[tuple[int, int]] = []
        self.installed: dict[tuple[int, int], str] = {}
        items = [
            Item(position, [Batch(number) for number in range(1, size + 1)], confirm_after=confirm_after)
            for position, size in enumerate(sizes, start=1)
        ]
        self.view = View(R.RUNNING, items, together=together)

    def item(self, position: int, **new: object) -> None:
        items = [replace(each, **new) if each.position == position else each for each in self.view.items]
        self.view = replace(self.view, items=items)

    def batch(self, step: Step, **new: object) -> None:
        item = self.view.items[step.item - 1]
        batches = [replace(each, **new) if each.number == step.batch else each for each in item.batches]
        self.item(step.item, batches=batches)

    def to(self, state: R) -> None:
        assert state in WAYS[self.view.state], f"{self.view.state} does not go to {state}"
        self.view = replace(self.view, state=state)

    def do(self, step: Step) -> None:
        here = (step.item, step.batch)
        if step.kind == "begin":
            assert here not in self.begun, "a batch is begun a second time"
            assert all(self.installed.get(each) == "new" for each in self.begun), "one begins before another is done"
            self.begun.append(here)
            failed = self.draw.draw(st.booleans() if self.draw.draw(st.integers(0, 3)) == 0 else st.just(False))
            self.installed[here] = "half" if failed else "new"
            self.batch(step, state=P.RUNNING, run="failed" if failed else "succeeded")
            self.item(step.item, state=P.RUNNING)
        elif step.kind == "bake":
            verdict = self.draw.draw(st.sampled_from(["yes", "yes", "yes", "no", "unknown"]))
            self.batch(step, state=P.BAKING, baked=True, verdict=verdict)
        elif step.kind == "done":
            self.batch(step, state=P.DONE)
        elif step.kind == "fail":
            self.batch(step, state=P.FAILED)
            self.item(step.item, state=P.FAILED)
            self.to(R.ROLLING_BACK)
        elif step.kind in ("confirm", "ask"):
            self.to(R.PAUSED)
            back = self.draw.draw(st.booleans())
            self.to(R.ROLLING_BACK if back else R.RUNNING)
            if step.kind == "confirm":
                self.view = replace(self.view, confirmed=step.item)
            elif not back:
                self.batch(step, verdict="yes")
        elif step.kind == "begin_back":
            assert here not in self.taken_back, "a batch is taken back a second time"
            self.taken_back.append(here)
            works = self.draw.draw(st.integers(0, 9)) > 0
            self.installed[here] = "old" if works else "left"
            self.batch(step, state=P.ROLLING_BACK, back="succeeded" if works else "failed")
        elif step.kind == "batch_back":
            self.batch(step, state=P.ROLLED_BACK)
        elif step.kind == "left":
            self.batch(step, state=P.LEFT)
        elif step.kind == "item_done":
            self.item(step.item, state=P.DONE)
        elif step.kind == "succeed":
            self.to(R.SUCCEEDED)
        else:
            assert step.kind == "end_back"
            self.to(R.FAILED if "left" in self.installed.values() else R.ROLLED_BACK)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.booleans(), st.integers(0, 3), st.data())
def test_every_history_ends_with_everything_done_or_everything_touched_taken_back(
    sizes: list[int], together: bool, confirm_after: int, draw: st.DataObject
) -> None:
    world = World(sizes, draw, together=together, confirm_after=confirm_after)
    for _step in range(200):
        if world.view.state in ENDED:
            break
        step = decide(world.view)
        assert step.kind != "wait", "no run is under way, and it waits"
        world.do(step)
    assert world.view.state in ENDED
    order = [(item.position, batch.number) for item in world.view.items for batch in item.batches]
    assert world.begun == order[: len(world.begun)]
    done = {item.position for item in world.view.items if item.state == P.DONE}
    if world.view.state == R.SUCCEEDED:
        assert world.begun == order
        assert set(world.installed.values()) == {"new"}
        return
    kept = [each for each in world.begun if not together and each[0] in done]
    assert world.taken_back == [each for each in reversed(world.begun) if each not in kept], "the last goes first"
    assert all(world.installed[each] == "new" for each in kept)


def test_nothing_is_done_while_a_run_is_under_way_or_a_batch_bakes() -> None:
    for batch in (Batch(1, P.RUNNING, run="active"), Batch(1, P.BAKING, run="succeeded", baked=False)):
        assert decide(View(R.RUNNING, [Item(1, [batch, Batch(2)])])).kind == "wait"
    going = Batch(1, P.ROLLING_BACK, run="succeeded", back="active")
    assert decide(View(R.ROLLING_BACK, [Item(1, [going])])).kind == "wait"
    running = Batch(1, P.RUNNING, run="active")
    assert decide(View(R.ROLLING_BACK, [Item(1, [running])])).kind == "wait", "it is being stopped"


def test_a_next_try_waits_for_the_end_of_the_one_before() -> None:
    stopping = Batch(1, P.WAITING, run="active")
    assert decide(View(R.RUNNING, [Item(1, [stopping])])).kind == "wait"
    assert decide(View(R.RUNNING, [Item(1, [replace(stopping, run="failed")])])).kind == "begin"


def test_a_check_that_is_always_asked_ends_a_batch_under_way() -> None:
    batch = Batch(1, P.RUNNING, run="active", verdict="no", why={"code": "check_no"})
    step = decide(View(R.RUNNING, [Item(1, [batch])]))
    assert (step.kind, step.why) == ("fail", {"code": "check_no"})


def test_nothing_moves_by_itself_in_any_other_state() -> None:
    for state in set(R.values) - {R.RUNNING, R.ROLLING_BACK}:
        assert decide(View(state, [Item(1, [Batch(1)])])).kind == "wait"

"""The machine against every way a worker can die: hypothesis kills it wherever it likes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.runbooks import machine
from tongchou.runbooks.machine import StepView, look, may_go, next_move

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """A journal, the effects it had, and a clock."""

    steps: list[StepView]
    state: str = machine.RUNNING
    effects: list[int] = field(default_factory=list)
    begun_after: list[tuple[int, int]] = field(default_factory=list)
    now: datetime = NOW

    def turn(self, die_at: int) -> bool:
        """One move; `die_at` 1: after writing `started`, 2: after the effect, before its result. False at an end."""
        move = next_move(self.state, self.steps, self.now)
        if move.do in ("rest", "succeed", "fail"):
            self.state = {"succeed": machine.SUCCEEDED, "fail": machine.FAILED}.get(move.do, self.state)
            return False
        step = self.steps[move.position]
        if move.do == "doubt":
            self._write(move.position, machine.UNCERTAIN)
        elif move.do == "sleep":
            self._write(move.position, machine.DONE)  # a person says it is done
        elif move.do in ("begin", "repeat"):
            assert all(each.state == machine.DONE for each in self.steps[: move.position])
            self._write(move.position, machine.STARTED)
            if die_at == 1:
                return True
            self.effects.append(move.position)
            if die_at == 2:
                return True
            self._write(move.position, machine.DONE)
        assert step.state not in (machine.DONE, machine.SKIPPED)
        return True

    def _write(self, position: int, state: str) -> None:
        self.steps[position] = replace(self.steps[position], state=state)


@settings(max_examples=300)
@given(st.lists(st.booleans(), min_size=1, max_size=6), st.lists(st.integers(0, 2), max_size=30))
def test_whenever_the_worker_dies_steps_stay_in_order_and_none_is_done_again(
    repeatable: list[bool], deaths: list[int]
) -> None:
    world = World([StepView(machine.PENDING, "http", each) for each in repeatable])
    for death in deaths:
        world.turn(death)
    while world.turn(0):
        pass
    assert world.state == machine.SUCCEEDED
    assert world.effects == sorted(world.effects), "a finished step was done again"
    for position, may_repeat in enumerate(repeatable):
        if not may_repeat:
            assert world.effects.count(position) <= 1, "a step that may not be repeated was repeated"


@given(st.sampled_from([*machine.ACTIVE, *machine.FINAL]), st.sampled_from([*machine.ACTIVE, *machine.FINAL]))
def test_only_a_failed_run_comes_back_and_only_through_the_gate(old: str, new: str) -> None:
    if old in machine.FINAL and may_go(old, new):
        assert (old, new) in [(machine.FAILED, machine.QUEUED), (machine.FAILED, machine.AWAITING_APPROVAL)]
    if old == machine.AWAITING_APPROVAL:
        assert may_go(old, new) == (new in (machine.QUEUED, machine.CANCELLED))


@given(st.sampled_from([machine.AWAITING_APPROVAL, machine.QUEUED, *machine.FINAL]))
def test_a_run_that_is_not_moving_makes_no_move(state: str) -> None:
    assert next_move(state, [StepView(machine.PENDING, "http", repeatable=True)], NOW).do == "rest"


def test_a_wait_is_polled_when_due_and_expires_at_its_deadline() -> None:
    deadline = NOW + timedelta(seconds=10)
    step = StepView(machine.STEP_WAITING, "wait_until", True, deadline, NOW + timedelta(seconds=1))
    assert next_move(machine.WAITING, [step], NOW).until == NOW + timedelta(seconds=1)
    assert next_move(machine.WAITING, [step], NOW + timedelta(seconds=1)).do == "poll"
    question = StepView(machine.STEP_WAITING, "ask", True, deadline)
    assert next_move(machine.WAITING, [question], NOW).do == "sleep"
    assert next_move(machine.WAITING, [question], deadline).do == "expire"


@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 5)), max_size=40), st.floats(0, 10))
def test_a_wait_is_done_only_after_an_unbroken_stretch_of_yes(
    looks: list[tuple[bool, float]], for_seconds: float
) -> None:
    now, since, unbroken_from = NOW, None, None
    for holds, seconds in looks:
        now += timedelta(seconds=seconds)
        unbroken_from = (unbroken_from or now) if holds else None
        result = look(holds, since, now, for_seconds)
        assert result.done == (unbroken_from is not None and (now - unbroken_from).total_seconds() >= for_seconds)
        since = result.true_since

"""The machine against a naive model of the same tree, and every way a worker can die: hypothesis kills as it likes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.runbooks import machine
from tongchou.runbooks.machine import Decision, Move, StepView, decide, look, may_go, to_reopen

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FINISHED = (machine.DONE, machine.SKIPPED, machine.STEP_FAILED)


@dataclass
class Node:
    """One step of a procedure as a tree; `good`: what comes of it when it is done."""

    good: bool = True
    repeatable: bool = True
    on_failure: str = "stop"
    then: str = "stop"
    rescue: list[Node] = field(default_factory=list)
    branches: list[list[Node]] = field(default_factory=list)


def naive(nodes: list[Node]) -> str:
    """What a run of these steps comes to, told the way a person would: one after the other, no journal, no crash."""
    for node in nodes:
        good = node.good if not node.branches else all(naive(branch) == "ok" for branch in node.branches)
        if good or node.on_failure == "continue":
            continue
        if node.on_failure == "stop":
            return "failed"
        if naive(node.rescue) != "ok":
            return "rescue failed"
        if node.then == "stop":
            return "rolled back"
    return "ok"


@dataclass
class World:
    """A journal, what is under way in the one process there is, and the effects it had."""

    steps: list[StepView] = field(default_factory=list)
    good: list[bool] = field(default_factory=list)
    state: str = machine.RUNNING
    effects: list[int] = field(default_factory=list)
    under_way: list[int] = field(default_factory=list)

    def add(self, nodes: list[Node], parent: int | None = None, branch: str = "") -> World:
        """Lay the tree out as rows."""
        for node in nodes:
            position = len(self.steps)
            kind = "parallel" if node.branches else "http"
            more: dict[str, Any] = {"on_failure": node.on_failure, "then": node.then}
            self.steps.append(StepView(machine.PENDING, kind, node.repeatable, parent=parent, branch=branch, **more))
            self.good.append(node.good)
            for number, each in enumerate(node.branches):
                self.add(each, position, f"b{number}")
            self.add(node.rescue, position)
        return self

    def decide(self) -> Decision:
        """What the machine says, without what is under way."""
        found = decide(self.state, self.steps, NOW)
        return replace(found, moves=[move for move in found.moves if move.position not in self.under_way])

    def make(self, move: Move) -> None:
        """Begin a move; an effect comes to its end later, or never."""
        step = self.steps[move.position]
        assert step.state not in (machine.DONE, machine.SKIPPED), "a finished step was begun again"
        if move.do == "doubt":
            self.write(move.position, machine.UNCERTAIN)
        elif move.do == "sleep":  # a person looks, and says what is true
            assert step.state == machine.UNCERTAIN
            self.write(move.position, machine.DONE if self.good[move.position] else machine.STEP_FAILED)
        elif move.do == "close":
            self.write(move.position, machine.STEP_FAILED if move.failed else machine.DONE)
        else:
            before = [each for each in self.steps[: move.position] if (each.parent, each.branch) == self.place(step)]
            assert all(each.state in FINISHED for each in before), "a step was begun before the one in front of it"
            self.write(move.position, machine.STARTED)
            if step.kind != "parallel":
                self.under_way.append(move.position)

    def finish(self, position: int, *, dies_before: bool = False) -> None:
        """The effect happens and is written; or it happens and everything dies before it is written."""
        self.effects.append(position)
        if dies_before:
            self.under_way.clear()
            return
        self.under_way.remove(position)
        self.write(position, machine.DONE if self.good[position] else machine.STEP_FAILED)

    def write(self, position: int, state: str) -> None:
        """Write a row."""
        self.steps[position] = replace(self.steps[position], state=state)

    @staticmethod
    def place(step: StepView) -> tuple[int | None, str]:
        """The sequence a step stands in."""
        return step.parent, step.branch

    def play(self, data: st.DataObject, *, deaths: int) -> Decision:
        """Make moves in any order, end what is under way in any order, die at any point; until the run ends."""
        for _ in range(2000):
            found = self.decide()
            if found.end:
                assert not self.under_way, "the run ended while a step was under way"
                return found
            choices = [*found.moves, *self.under_way]
            choice = data.draw(st.sampled_from(choices), label="next")
            death = data.draw(st.integers(0, 5), label="death") if deaths else 0
            if isinstance(choice, Move):
                self.make(choice)
                if death == 1:
                    deaths -= 1
                    self.under_way.clear()
            else:
                self.finish(choice, dies_before=death == 2)
                deaths -= death == 2
        raise AssertionError("the run does not end")


LEAF = st.builds(Node, st.booleans(), st.booleans(), st.sampled_from(["stop", "continue"]))
LEAVES = st.lists(LEAF, min_size=1, max_size=3)
RESCUED = st.builds(Node, st.booleans(), st.booleans(), st.just("steps"), st.sampled_from(["stop", "continue"]), LEAVES)
STEPS = st.lists(LEAF | RESCUED, min_size=1, max_size=3)
GROUP = st.builds(
    lambda branches, answer: replace(answer, branches=branches, repeatable=True),
    st.lists(STEPS, min_size=1, max_size=3),
    LEAF | RESCUED,
)
INNER = st.lists(LEAF | RESCUED | GROUP, min_size=1, max_size=3)
BATCH = st.builds(lambda branches: Node(branches=branches), st.lists(INNER, min_size=2, max_size=3))
TREE = st.lists(LEAF | RESCUED | GROUP | BATCH, min_size=1, max_size=4)


def outcome(found: Decision) -> str:
    if found.end == "succeed":
        return "ok"
    return "rolled back" if found.rescued else "failed" if found.rescue_failed is None else "rescue failed"


@settings(max_examples=300, deadline=None)
@given(TREE, st.integers(0, 4), st.data())
def test_however_it_is_killed_a_run_ends_as_the_naive_model_says_and_nothing_is_done_twice(
    tree: list[Node], deaths: int, data: st.DataObject
) -> None:
    world = World().add(tree)
    assert outcome(world.play(data, deaths=deaths)) == naive(tree)
    for position, step in enumerate(world.steps):
        if not step.repeatable:
            assert world.effects.count(position) <= 1, "a step that may not be repeated was repeated"
        assert world.effects.count(position) <= 1 + deaths


@settings(max_examples=200, deadline=None)
@given(TREE, st.data())
def test_a_retry_does_what_is_left_and_only_what_answered_a_failure_again(
    tree: list[Node], data: st.DataObject
) -> None:
    world = World().add(tree)
    if world.play(data, deaths=0).end != "fail":
        return
    done = {position for position, step in enumerate(world.steps) if step.state == machine.DONE}
    for position, step in enumerate(world.steps):  # as the end of a run leaves them
        if step.state in (machine.PENDING, machine.STARTED):
            world.write(position, machine.SKIPPED)
    reopened = to_reopen(world.steps, NOW)
    assert reopened
    for position in reopened:
        step = world.steps[position]
        if position in done:
            assert _answers_a_failure(world.steps, step), "what was done is done again"
        world.write(position, machine.PENDING)
    world.good = [True] * len(world.good)
    world.effects.clear()
    assert outcome(world.play(data, deaths=0)) == "ok"
    assert not set(world.effects) & (done - set(reopened))


def _answers_a_failure(steps: list[StepView], step: StepView) -> bool:
    while step.parent is not None:
        if not step.branch:
            return True
        step = steps[step.parent]
    return False


def test_when_a_branch_fails_the_others_end_their_step_and_begin_no_other() -> None:
    world = World().add([Node(branches=[[Node(good=False)], [Node(), Node()]])])
    world.make(world.decide().moves[0])
    for move in world.decide().moves:
        world.make(move)
    world.finish(1)
    assert world.decide().moves == [], "something was begun, or closed while a step was under way"
    world.finish(2)
    (close,) = world.decide().moves
    assert (close.do, close.failed) == ("close", ["b0"])


def test_a_try_that_has_its_time_waits_for_it() -> None:
    step = StepView(machine.PENDING, "http", poll_at=NOW + timedelta(seconds=5))
    assert decide(machine.RUNNING, [step], NOW).moves == [Move("sleep", 0, NOW + timedelta(seconds=5))]
    assert decide(machine.RUNNING, [step], NOW + timedelta(seconds=5)).moves[0].do == "begin"


@given(st.sampled_from([*machine.ACTIVE, *machine.FINAL]), st.sampled_from([*machine.ACTIVE, *machine.FINAL]))
def test_only_a_failed_run_comes_back_and_only_through_the_gate(old: str, new: str) -> None:
    if old in machine.FINAL and may_go(old, new):
        assert old == machine.FAILED
        assert new in (machine.QUEUED, machine.AWAITING_APPROVAL, machine.PREPARING)
    if old == machine.AWAITING_APPROVAL:
        assert may_go(old, new) == (new in (machine.QUEUED, machine.CANCELLED))
    if old == machine.PREPARING:
        assert not may_go(old, machine.QUEUED), "a run would begin without its approval"


@given(st.sampled_from([state for state in [*machine.ACTIVE, *machine.FINAL] if state not in machine.MOVING]))
def test_a_run_that_is_not_moving_makes_no_move(state: str) -> None:
    assert decide(state, [StepView(machine.PENDING, "http")], NOW) == Decision(end="rest")


def test_a_wait_is_polled_when_due_and_expires_at_its_deadline() -> None:
    deadline = NOW + timedelta(seconds=10)
    step = StepView(machine.STEP_WAITING, "wait_until", True, deadline, NOW + timedelta(seconds=1))

    def first(step: StepView, now: datetime) -> Move:
        return decide(machine.WAITING, [step], now).moves[0]

    assert first(step, NOW).until == NOW + timedelta(seconds=1)
    assert first(step, NOW + timedelta(seconds=1)).do == "poll"
    question = StepView(machine.STEP_WAITING, "ask", True, deadline)
    assert first(question, NOW).do == "sleep"
    assert first(question, deadline).do == "expire"


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

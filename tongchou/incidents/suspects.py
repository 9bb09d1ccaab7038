"""What is known about an incident, what a suspect is, every weight of the ranking. Pure; `scoring` does the sums."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Measure = Literal["down", "errors", "latency", "saturation", "other"]
ChangeKind = Literal["deployment", "config", "run", "other"]
ShiftKind = Literal["errors", "latency", "cpu", "memory", "disk", "queue", "traffic", "other"]
Value = str | int | float

# The one place where weights live. Points are comparable across resources and events: the strongest single proof
# (a target that stopped answering, a change seconds before) is worth 30, circumstantial facts 3 to 15.
WEIGHTS: dict[str, float] = {
    "target_down": 30.0,  # `up` went to 0: direct evidence, nothing else needs to be believed
    "restarted": 6.0,  # a gap of `up` that ended by itself: a restart is a trace of something, rarely the thing
    "down_for_long": 3.0,  # it was down before the incident: known, and so far without these symptoms
    "saturated": 10.0,  # a full disk or pool starves others, it is seldom caused by them
    "own_errors": 8.0,  # errors are nearer the cause than slowness ...
    "own_latency": 5.0,  # ... because slowness travels up through every waiting caller
    "own_alert": 4.0,  # some alert about it, of a kind we cannot read
    # Metric shifts: times how far the quantity left its usual level and how steadily. The three most telling count.
    "shift_disk": 12.0,  # a full file system starves others, it is seldom caused by them
    "shift_memory": 11.0,  # a leak is its owner's
    "shift_errors": 10.0,
    "shift_latency": 10.0,
    "shift_cpu": 9.0,  # work goes up with load as well
    "shift_queue": 6.0,  # whoever waits for something slow queues
    "shift_traffic": 2.0,  # fewer requests are rather an effect
    "shift_other": 3.0,  # its own counters and gauges, whose meaning we do not know
    "demand_rose": 45.0,  # requests at the entry multiplied before the first symptom: load is the cause, not a thing
    "new_error_lines": 6.0,  # it says something went wrong that it never said before
    "more_error_lines": 4.0,  # it says much more often what it said before
    "new_lines": 1.0,  # a new kind of line that is no error: a trace of a change
    "already_explained": -15.0,  # times the share of what it explains that a suspect above explains already
    "went_wrong_first": 25.0,  # causes come before effects; fades with the delay after the first symptom
    "explains": 20.0,  # times the share of failing resources that need it: one cause for all beats many
    "needs_healthy": 15.0,  # it fails although all it needs is well: the chain of blame ends here
    "explained_by": -25.0,  # something it needs failed no later: it is rather a victim
    "not_failing": -12.0,  # shared by the victims, but nothing is known to be wrong with it
    "hop": -2.0,  # each step beyond the first between it and the nearest failing resource
    "deployment": 20.0,  # most incidents follow a release
    "config_change": 14.0,  # settings come next
    "run": 12.0,  # an automation touched it
    "other_change": 6.0,  # a recorded alteration of any other kind
    "version_changed": 5.0,  # new code, not the same version once more
    "just_before": 30.0,  # fades with the time between the change and the first symptom it could explain
    "on_first_failing": 25.0,  # what was changed is what failed first
    "on_failing": 15.0,  # what was changed fails, though not first
    "only_some_fail": -20.0,  # times the share of the changed processes that are well: new code is the same in all
    "on_needed": 8.0,  # a failing resource needs what was changed
    "on_caller": 2.0,  # what was changed only calls what fails: new load is possible, not likely
    "unrelated": -45.0,  # no path of dependencies between the change and any failing resource
    "after_first_symptom": -30.0,  # it can at best explain a later part of the incident
    "past_record": 10.0,  # times the smoothed share of earlier changes of this kind here that ended as a top suspect
}
DECAY_BEFORE_SECONDS = 600.0  # a change ten minutes before has 1/e of the points of one at the moment itself
DECAY_ORDER_SECONDS = 60.0  # a symptom a minute after the first has 1/e of the points of the first
ORDER_SLACK_SECONDS = 5.0  # scrapes are not simultaneous: closer onsets count as equal
DETECTION_SLACK_SECONDS = (
    30.0  # an alert on a rate notices the cause up to so much later than the alert of a victim does
)
CHANGE_SLACK_SECONDS = 5.0  # clocks of senders differ; beyond this a later change is no cause
BLIP_SECONDS = 15.0  # a shorter gap of `up` that ended is a restart
STRENGTH_LOW, STRENGTH_HIGH = 3.0, 300.0  # a shift of 3 scales is worth nothing, of 300 all; logarithmic between
LEAST_STEADY = 0.5  # a shift that came and went keeps half of its points
LEAST_FRESH = 0.2  # one that stood so well before the first symptom keeps a fifth: known, and so far without symptoms
ILL_FROM = 0.08  # from this share of strength on a hurting shift counts as going wrong, alert or not
NEARLY_AS_TELLING = 0.7
TELLING_SHIFTS = 3
DEMAND_RATIO_LOW, DEMAND_RATIO_HIGH = 1.3, 3.0
HURTING: frozenset[ShiftKind] = frozenset({"errors", "latency", "cpu", "memory", "disk", "queue"})
KIND_WEIGHT: dict[ChangeKind, str] = {
    "deployment": "deployment", "config": "config_change", "run": "run", "other": "other_change",
}  # fmt: skip
# How much being close, in time and place, says of a change of a kind: a release is news, an attribute that a source
# reports anew may change every minute.
KIND_SHARE: dict[ChangeKind, float] = {"deployment": 1.0, "config": 0.8, "run": 0.8, "other": 0.5}
MEASURE_WEIGHT: dict[Measure, str] = {
    "saturation": "saturated",
    "errors": "own_errors",
    "latency": "own_latency",
    "other": "own_alert",
    "down": "own_alert",  # `up` itself says it better: see target_down
}


@dataclass(frozen=True, slots=True)
class Symptom:
    """One alert about one resource; `active_at` is when its expression first held (before any `for`)."""

    resource: UUID
    name: str
    active_at: datetime
    measure: Measure = "other"


@dataclass(frozen=True, slots=True)
class Outage:
    """A gap of `up` of one resource; `until` None: it still does not answer; `from_start`: its beginning is unknown."""

    resource: UUID
    since: datetime
    until: datetime | None = None
    from_start: bool = False


@dataclass(frozen=True, slots=True)
class Shifted:
    """A quantity of a resource that left its usual level at `at`, known to `resolution_seconds`.

    `strength` is in robust standard deviations, `persistence` the share of samples since then that stayed away, `fresh`
    the share of the deviation that arose in the window around the first symptom (0: it stood so well before).
    `facts` are for the page alone: points, query; they decide nothing.
    """

    resource: UUID
    kind: ShiftKind
    what: str
    at: datetime
    direction: int
    before: float
    after: float
    unit: str
    strength: float
    persistence: float = 1.0
    fresh: float = 1.0
    resolution_seconds: float = 5.0
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A kind of log line of a resource that is new or came much more often; `before` is what was to be expected."""

    resource: UUID
    template: str
    level: str
    at: datetime
    count: int
    before: float
    new: bool
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Change:
    """A ledger event of a change kind. `past` = (earlier ones of this kind here, how many ended as a top suspect)."""

    ref: str
    title: str
    kind: ChangeKind
    at: datetime
    resources: frozenset[UUID]
    version_changed: bool = False
    past: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about an incident. `needs[a][b]` = hops from a to b, which a depends on.

    `wholes[part]` are the services an instance is a part of; `traffic_known` are the resources whose requests are
    counted, so that no shift of them means that there is none.
    """

    symptoms: Sequence[Symptom]
    outages: Sequence[Outage] = ()
    changes: Sequence[Change] = ()
    needs: Mapping[UUID, Mapping[UUID, int]] = field(default_factory=dict)
    names: Mapping[UUID, str] = field(default_factory=dict)
    shifts: Sequence[Shifted] = ()
    patterns: Sequence[Pattern] = ()
    wholes: Mapping[UUID, Collection[UUID]] = field(default_factory=dict)
    traffic_known: Collection[UUID] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why points were given or taken: a code of `WEIGHTS`, the facts it is about, the points; `facts` for the page."""

    code: str
    weight: float
    params: Mapping[str, Value]
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Ranked:
    """One suspect. `key` is a resource's UUID, or an event's ref."""

    key: UUID | str
    kind: Literal["resource", "event"]
    title: str
    reasons: tuple[Reason, ...]

    @property
    def score(self) -> float:
        """The sum of the points of the reasons, to one decimal."""
        return round(sum(reason.weight for reason in self.reasons), 1)

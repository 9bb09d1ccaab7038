"""One whole story on real processes: a fault, its alert, incident and suspects, an approved run, recovery, the count.

Everything is asked from and told to the platform through its public API, by an operator and an approver with tokens of
their own. The runner knows the true cause (tongchou.demo.faults) and keeps it to itself.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tongchou.demo import history
from tongchou.demo.client import ApiError, Platform
from tongchou.demo.control import Shop, ShopError
from tongchou.demo.faults import FAULTS, Fault
from tongchou.demo.ports import free_ports
from tongchou.demo.rules import quick_rule_file
from tongchou.demo.serving import NotServing, Serving
from tongchou.demo.setup import People, alert, allow_execution, connect, earn, people
from tongchou.demo.supervisor import Options
from tongchou.demo.topology import SHOP

SCRAPE_SECONDS = 1.0
WARM_SECONDS = 16.0  # one window of the rules, so that a rate means something before the fault
CALM_SECONDS = 6.0
CALM_ERROR_RATIO = 0.01
DAY_SECONDS = 3600.0
ERROR_RATIO = (
    'sum(rate(shop_customer_requests_total{outcome="error"}[10s])) / sum(rate(shop_customer_requests_total[10s]))'
)
PERMANENT = ("failed", "cancelled")
T = TypeVar("T")


class Unfinished(Exception):
    """A step of the story did not happen in its time."""


@dataclass(slots=True)
class Result:
    """What the last line says. Seconds count from the injection; None means it did not happen."""

    scenario: str
    injected_at: str | None = None
    detected_seconds: float | None = None
    incident_id: str | None = None
    top_suspects: list[dict[str, Any]] = field(default_factory=list)
    true_cause_rank: int | None = None
    runbook: str | None = None
    requested_by: str | None = None
    approved_by: str | None = None
    recovered_seconds: float | None = None
    orders_lost: int | None = None
    ok: bool = False

    def judge(self, fault: Fault) -> None:
        """`ok` only when every step happened, the cause ranked well enough and no order was lost."""
        happened = all(value is not None for value in asdict(self).values())
        apart = self.requested_by != self.approved_by
        ranked = self.true_cause_rank is not None and self.true_cause_rank <= fault.worst_rank
        self.ok = happened and apart and ranked and self.orders_lost == 0


Say = Callable[[str, str], None]


class Story:
    """Runs one scenario. `say(headline, detail)` is called at every step; after `run`, `result` holds what happened."""

    def __init__(self, fault: Fault, *, seed: int, folder: Path, say: Say) -> None:
        self._fault, self._seed, self._folder, self._say = fault, seed, folder, say
        self.result = Result(fault.name)
        self._begun = time.monotonic()
        self._injected = 0.0

    def run(self) -> Result:
        """The whole story; a step that does not happen ends it, told by `say`, with ok false."""
        try:
            with ExitStack() as stack:
                self._play(stack)
        except (Unfinished, ApiError, ShopError, NotServing, httpx.HTTPError) as error:
            self._say("unfinished", str(error))
        self.result.judge(self._fault)
        return self.result

    def _play(self, stack: ExitStack) -> None:
        noon = time.time()
        options = Options(visits_per_second=20.0, day_seconds=DAY_SECONDS, noon=noon, seed=self._seed)
        serving = stack.enter_context(
            Serving(
                self._folder / "platform", free_ports(1)[0], self._folder / "token.json", self._folder / "platform.out"
            )
        )
        shop = stack.enter_context(Shop(self._folder / "shop", options))
        shop.wait_open()
        self._say("shop open", f"{len(SHOP)} processes, balancer {shop.facts['balancer']}, http://{shop.facts['shop']}")
        admin = serving.wait_ready()
        stack.callback(admin.close)
        self._say("platform ready", serving.url)
        self._replay(admin, options)
        persons = people(admin)
        stack.callback(persons.operator.close)
        stack.callback(persons.approver.close)
        connect(admin, shop, scrape_seconds=SCRAPE_SECONDS)
        allow_execution(admin, self._fault.execution_targets)
        self._warm_up(admin, persons.operator, shop)
        self._inject(shop)
        self._detect(persons.operator)
        incident = self._understand(persons.operator)
        self._repair(persons, incident)
        self._recover(persons.operator)
        self._count(shop)

    def _wait(self, what: str, seconds: float, look: Callable[[], T | None], every: float = 0.25) -> T:
        """The first answer of `look` that is not None. Raises Unfinished."""
        deadline = time.monotonic() + seconds
        while True:
            found = look()
            if found is not None:
                return found
            if time.monotonic() >= deadline:
                raise Unfinished(f"{what}: not within {seconds:.0f} s")
            time.sleep(every)

    def _replay(self, admin: Platform, options: Options) -> None:
        plan = history.Plan(
            end=time.time() - 2.0,
            day_seconds=options.day_seconds,
            noon=options.noon,
            visits_per_second=options.visits_per_second,
            seed=self._seed,
        )
        begun = time.monotonic()
        samples = history.push(plan, f"{admin.url}/prometheus/api/v1/write", admin.token)
        self._say("history replayed", f"{samples} samples of three shop days in {time.monotonic() - begun:.1f} s")

    def _warm_up(self, admin: Platform, operator: Platform, shop: Shop) -> None:
        """Wait until every target is scraped and rates mean something, then for a while in which no rule holds."""

        def all_up() -> bool | None:
            return operator.number('count(up{env="demo"} == 1)') == len(SHOP) + 1 or None

        self._wait("every target scraped", 30.0, all_up)
        self._say("targets up", f"{len(SHOP) + 1} targets, scraped every {SCRAPE_SECONDS:g} s")
        time.sleep(WARM_SECONDS)
        earn(admin, day_seconds=DAY_SECONDS)
        alert(admin, quick_rule_file())
        shop.release("payments", "1.1.0")
        self._say("an ordinary release", "payments 1.1.0 went live")
        quiet_since = time.monotonic()

        def calm() -> bool | None:
            nonlocal quiet_since
            ratio = operator.number(ERROR_RATIO)
            if ratio is None or ratio >= CALM_ERROR_RATIO or operator.items("/alerts"):
                quiet_since = time.monotonic()
            return time.monotonic() - quiet_since >= CALM_SECONDS or None

        self._wait("a calm shop before the fault", 60.0, calm)
        self._say("calm", f"no rule held for {CALM_SECONDS:g} s")

    def _inject(self, shop: Shop) -> None:
        self._injected = time.monotonic()
        self.result.injected_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._say("fault injected", self._fault.inject(shop))

    def _since_injection(self) -> float:
        return round(time.monotonic() - self._injected, 1)

    def _detect(self, operator: Platform) -> None:
        first = self._wait("an alert", 60.0, lambda: next(iter(operator.items("/alerts", state="firing")), None))
        self.result.detected_seconds = self._since_injection()
        self._say("alert", str(first["annotations"].get("summary") or first["labels"]))

    def _understand(self, operator: Platform) -> dict[str, Any]:
        """The incident, once a procedure is suggested and the suspects were ranked with all its groups of alerts."""

        def look() -> dict[str, Any] | None:
            for row in operator.items("/incidents"):
                incident: dict[str, Any] = operator.get(f"/incidents/{row['id']}")
                if incident["suspects"] and incident["suggested_procedures"] and _ranked(incident):
                    return incident
            return None

        incident = self._wait("an incident with suspects and a suggested procedure", 60.0, look)
        self.result.incident_id = incident["id"]
        operator.post(f"/incidents/{incident['id']}/acknowledge")
        suspects = incident["suspects"]
        self.result.top_suspects = [
            {name: suspect[name] for name in ("rank", "kind", "name", "score")} for suspect in suspects[:5]
        ]
        self.result.true_cause_rank = next(
            (int(suspect["rank"]) for suspect in suspects if self._fault.is_cause(suspect)), None
        )
        self._say("incident", f"{incident['title']}")
        for suspect in suspects[:3]:
            reasons = "; ".join(reason["text"] for reason in suspect["reasons"])
            self._say(f"suspect {suspect['rank']}", f"{suspect['name']} ({suspect['score']}): {reasons}")
        return incident

    def _repair(self, persons: People, incident: dict[str, Any]) -> None:
        suggestion = incident["suggested_procedures"][0]
        self.result.runbook = suggestion["name"]
        wanted = {
            "params": suggestion["params"], "targets": suggestion["targets"], "incident": incident["id"],
            "reason": "suggested for this incident",
        }  # fmt: skip
        run = persons.operator.post(f"/procedures/{suggestion['name']}/runs", wanted)
        self.result.requested_by = run["requested_by"]
        self._say("run requested", f"{suggestion['title']} on {', '.join(suggestion['target_names'])}")
        approval = self._wait(
            "the approval in the approver's inbox",
            10.0,
            lambda: next(
                (
                    each
                    for each in persons.approver.items("/approvals", state="pending")
                    if each["subject"] == run["ref"]
                ),
                None,
            ),
        )
        decided = persons.approver.post(f"/approvals/{approval['id']}/approve", {"comment": "agreed"})
        self.result.approved_by = decided["decided_by_name"]
        self._say("run approved", f"by {decided['decided_by_name']}")

        def finished() -> dict[str, Any] | None:
            now: dict[str, Any] = persons.operator.get(f"/runs/{run['id']}")
            return now if now["state"] in ("succeeded", *PERMANENT) else None

        done = self._wait("the end of the run", 120.0, finished)
        steps = ", ".join(f"{step['name']}: {step['state']}" for step in done["steps"])
        if done["state"] != "succeeded":
            raise Unfinished(f"the run {done['state']}: {done['outcome']} ({steps})")
        self._say("run succeeded", steps)

    def _recover(self, operator: Platform) -> None:
        def recovered() -> bool | None:
            ratio = operator.number(ERROR_RATIO)
            if ratio is None or ratio >= CALM_ERROR_RATIO:
                return None
            return not operator.items("/alerts", state="firing") or None

        self._wait("recovery", 90.0, recovered)
        self.result.recovered_seconds = self._since_injection()
        self._say("recovered", "no alert fires, customers see no errors")

    def _count(self, shop: Shop) -> None:
        """Compare what customers were promised with what the surviving database holds."""
        shop.supervise("customers-1", "stop")
        promised = shop.acknowledged()
        lost = promised - shop.kept()
        self.result.orders_lost = len(lost)
        self._say("orders counted", f"{len(promised)} acknowledged, {len(lost)} lost")


def _ranked(incident: dict[str, Any]) -> bool:
    """Whether the ranking is younger than the newest group of alerts that joined."""
    joined = max(datetime.fromisoformat(group["joined_at"]) for group in incident["groups"])
    return bool(incident["ranked_at"]) and datetime.fromisoformat(incident["ranked_at"]) >= joined


def play(name: str, *, seed: int, folder: Path | None, say: Say) -> tuple[Result, Path]:
    """Run the scenario of this name in `folder` (a new one in the temporary folder when None)."""
    where = folder or Path(tempfile.mkdtemp(prefix="tongchou-scenario-"))
    where.mkdir(parents=True, exist_ok=True)
    return Story(FAULTS[name], seed=seed, folder=where, say=say).run(), where

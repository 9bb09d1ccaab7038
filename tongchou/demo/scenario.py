"""One whole story on real processes: a fault, its alert, incident and suspects, an approved run, recovery, the count.

Everything is asked from and told to the platform through its public API, by an operator and an approver with tokens of
their own. The runner knows the true cause (tongchou.demo.faults) and keeps it to itself.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tongchou.demo import history
from tongchou.demo.account import Reading, budgets, joined, learn, nearest, revenue, rule_files
from tongchou.demo.alertmanager import Beside, NotBeside
from tongchou.demo.client import ApiError, Platform
from tongchou.demo.control import Shop, ShopError
from tongchou.demo.faults import faults, harmless_release
from tongchou.demo.inbox import Inbox
from tongchou.demo.ports import free_ports
from tongchou.demo.result import Result
from tongchou.demo.rules import quick_rule_file
from tongchou.demo.serving import NotServing, Serving
from tongchou.demo.setup import People, alert, allow_execution, connect, earn, people, tell_people
from tongchou.demo.supervisor import Options
from tongchou.demo.topology import SHOP

SCRAPE_SECONDS = 1.0
WARM_SECONDS = 6.0  # rates already mean something: the history before is as dense and ends where the shop opened
OWN_JOB = "tongchou"
CALM_SECONDS = 6.0
CALM_ERROR_RATIO = 0.01
DAY_SECONDS = 3600.0
DENSE_SECONDS = 180.0  # more than an incident's price looks back
ERROR_RATIO = (
    'sum(rate(shop_customer_requests_total{outcome="error"}[10s])) / sum(rate(shop_customer_requests_total[10s]))'
)
PERMANENT = ("failed", "cancelled")
GROUP_INTERVAL_SECONDS = 10  # between notices about one group; the least the platform takes, as its stories are short
NOTICES_SECONDS = 30.0
T = TypeVar("T")


class Unfinished(Exception):
    """A step of the story did not happen in its time."""


Say = Callable[[str, str], None]


class Story:
    """Runs one scenario. `say(headline, detail)` is called at every step; after `run`, `result` holds what happened."""

    def __init__(self, name: str, *, seed: int, folder: Path, say: Say, beside: bool = False) -> None:
        self._faults, self._seed, self._folder, self._say = faults(name), seed, folder, say
        self._beside = (
            Beside(folder / "beside", group_interval_seconds=GROUP_INTERVAL_SECONDS, scrape_seconds=SCRAPE_SECONDS)
            if beside
            else None
        )
        self.result = Result(name)
        self._injected = 0.0
        self._inbox = Inbox()
        self._budgets: dict[str, float | None] = {}
        self._readings: list[Reading] = []

    def run(self) -> Result:
        """The whole story; a step that does not happen ends it, told by `say`, with ok false."""
        try:
            with ExitStack() as stack:
                self._play(stack)
        except (Unfinished, ApiError, ShopError, NotServing, NotBeside, httpx.HTTPError) as error:
            self._say("unfinished", str(error))
        self.result.judge(self._faults)
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
        stack.enter_context(self._inbox)
        shop.wait_open()
        if self._beside is not None:
            stack.enter_context(self._beside).start(shop.targets_url)
        self._say("shop open", f"{len(SHOP)} processes, balancer {shop.facts['balancer']}, http://{shop.facts['shop']}")
        admin = serving.wait_ready()
        stack.callback(admin.close)
        self._say("platform ready", serving.url)
        self._replay(admin, shop)
        persons = people(admin)
        stack.callback(persons.operator.close)
        stack.callback(persons.approver.close)
        connect(admin, shop, scrape_seconds=SCRAPE_SECONDS)
        tell_people(admin, self._inbox.url, group_interval_seconds=GROUP_INTERVAL_SECONDS)
        allow_execution(admin, [target for fault in self._faults for target in fault.execution_targets])
        self._warm_up(admin, persons.operator, shop)
        self._budgets = budgets(persons.operator)
        self._inject(shop)
        self._detect(persons.operator)
        repaired = 0
        while repaired < len(self._faults):
            repaired += self._repair(persons, self._understand(persons.operator))
        self._recover(persons.operator)
        self._account(persons.operator)
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

    def _replay(self, admin: Platform, shop: Shop) -> None:
        plan = history.Plan(
            end=shop.opened_at,
            day_seconds=shop.options.day_seconds,
            noon=shop.options.noon,
            visits_per_second=shop.options.visits_per_second,
            dense_seconds=DENSE_SECONDS,
            dense_step_seconds=SCRAPE_SECONDS,
            seed=self._seed,
        )
        begun = time.monotonic()
        samples = history.push(plan, f"{admin.url}/prometheus/api/v1/write", admin.token)
        if self._beside is not None:
            history.push(plan, self._beside.write_url, "")
        self._say("history replayed", f"{samples} samples of three shop days in {time.monotonic() - begun:.1f} s")

    def _warm_up(self, admin: Platform, operator: Platform, shop: Shop) -> None:
        """Wait until every target is scraped and rates mean something, then for a while in which no rule holds."""

        def all_up() -> bool | None:
            return operator.number('count(up{env="demo"} == 1)') == len(SHOP) + 1 or None

        self._wait("every target scraped", 60.0, all_up)
        self._say("targets up", f"{len(SHOP) + 1} targets, scraped every {SCRAPE_SECONDS:g} s")
        time.sleep(WARM_SECONDS)
        earn(admin, day_seconds=DAY_SECONDS)
        alert(admin, quick_rule_file())
        if self._beside is not None:
            self._beside.alert(rule_files(operator))
        harmless = harmless_release(self._faults)
        shop.release(harmless, "1.1.0")
        self._say("an ordinary release", f"{harmless} 1.1.0 went live")
        quiet_since = time.monotonic()

        def calm() -> bool | None:
            nonlocal quiet_since
            ratio = operator.number(ERROR_RATIO)
            # what may become an alert of the platform in an hour (its disk fills) is nothing of the shop
            alerts = [
                each
                for each in operator.items("/alerts")
                if each["state"] == "firing" or each["labels"].get("job") != OWN_JOB
            ]
            told = [key for inbox in self._inboxes() for key in inbox.unended()]
            if ratio is None or ratio >= CALM_ERROR_RATIO or alerts or told:
                names = sorted({each["labels"]["alertname"] for each in alerts})
                if names and time.monotonic() - quiet_since >= 1.0:
                    self._say("not calm yet", f"{', '.join(names)}")
                quiet_since = time.monotonic()
            return time.monotonic() - quiet_since >= CALM_SECONDS or None

        self._wait("a calm shop before the fault", 120.0, calm)
        self._say("calm", f"no rule held for {CALM_SECONDS:g} s")

    def _inboxes(self) -> list[Inbox]:
        return [self._inbox, *([self._beside.inbox] if self._beside else [])]

    def _inject(self, shop: Shop) -> None:
        for inbox in self._inboxes():
            inbox.empty()
        self._injected = time.monotonic()
        self.result.injected_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        for fault in self._faults:
            self._say("fault injected", fault.inject(shop))

    def _since_injection(self) -> float:
        return round(time.monotonic() - self._injected, 1)

    def _detect(self, operator: Platform) -> None:
        first = self._wait("an alert", 90.0, lambda: next(iter(operator.items("/alerts", state="firing")), None))
        self.result.detected_seconds = self._since_injection()
        self._say("alert", str(first["annotations"].get("summary") or first["labels"]))

    def _understand(self, operator: Platform) -> Reading:
        """An incident with a procedure nobody asked for yet, ranked with all the groups of alerts that joined it."""
        asked = {(each.incident["id"], each.suggestion["name"]) for each in self._readings}

        def look() -> Reading | None:
            for row in operator.items("/incidents"):
                if row["recovered_at"] is not None:
                    continue
                incident: dict[str, Any] = operator.get(f"/incidents/{row['id']}")
                fresh = [
                    each
                    for each in incident["suggested_procedures"]
                    if (incident["id"], each["name"]) not in asked and each["targets"]
                ]
                if incident["suspects"] and fresh and _ranked(incident):
                    return Reading(incident, nearest(fresh, incident["suspects"]))
            return None

        reading = self._wait("an incident with suspects and a suggested procedure", 120.0, look)
        self._readings.append(reading)
        incident = reading.incident
        if incident["acknowledged_at"] is None:
            operator.post(f"/incidents/{incident['id']}/acknowledge")
        learn(self.result, self._faults, self._readings)
        self._say("incident", f"{incident['title']}")
        for suspect in incident["suspects"][:3]:
            reasons = "; ".join(reason["text"] for reason in suspect["reasons"])
            self._say(f"suspect {suspect['rank']}", f"{suspect['name']} ({suspect['score']}): {reasons}")
        for name, ranks in self.result.baseline_ranks.items():
            told = ", ".join(f"{method.replace('_', ' ')}: {rank or 'not in five'}" for method, rank in ranks.items())
            self._say("rank by baselines", f"{name}: {told}")
        return reading

    def _repair(self, persons: People, reading: Reading) -> bool:
        """Request what was suggested, have it approved, wait for its end. False: refused, something else is tried."""
        suggestion = reading.suggestion
        wanted = {
            "params": suggestion["params"], "targets": suggestion["targets"], "incident": reading.incident["id"],
            "reason": "suggested for this incident",
        }  # fmt: skip
        try:
            run = persons.operator.post(f"/procedures/{suggestion['name']}/runs", wanted)
        except ApiError as error:
            if error.status != 409:
                raise
            self._say("run refused", f"{suggestion['title']}: {error}")
            return False
        self.result.runbook = joined(self.result.runbook, suggestion["name"])
        self.result.requested_by = joined(self.result.requested_by, run["requested_by"])
        self._say("run requested", f"{suggestion['title']} on {', '.join(suggestion['target_names'])}")
        approval = self._wait(
            "the approval in the approver's inbox",
            30.0,
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
        self.result.approved_by = joined(self.result.approved_by, decided["decided_by_name"])
        self._say("run approved", f"by {decided['decided_by_name']}")

        def finished() -> dict[str, Any] | None:
            now: dict[str, Any] = persons.operator.get(f"/runs/{run['id']}")
            return now if now["state"] in ("succeeded", *PERMANENT) else None

        done = self._wait("the end of the run", 240.0, finished)
        steps = ", ".join(f"{step['name']}: {step['state']}" for step in done["steps"])
        if done["state"] != "succeeded":
            raise Unfinished(f"the run {done['state']}: {done['outcome']} ({steps})")
        self._say("run succeeded", steps)
        return True

    def _recover(self, operator: Platform) -> None:
        def recovered() -> bool | None:
            ratio = operator.number(ERROR_RATIO)
            if ratio is None or ratio >= CALM_ERROR_RATIO:
                return None
            return not operator.items("/alerts", state="firing") or None

        self._wait("recovery", 120.0, recovered)
        self.result.recovered_seconds = self._since_injection()
        self._say("recovered", "no alert fires, customers see no errors")

    def _account(self, operator: Platform) -> None:
        """What it cost in money and in error budget, and how many notices it took."""
        ids = list(dict.fromkeys(each.incident["id"] for each in self._readings))

        def ended() -> list[dict[str, Any]] | None:
            found = [operator.get(f"/incidents/{each}") for each in ids]
            return found if all(each["recovered_at"] for each in found) else None

        incidents = self._wait("the end of the incident", 60.0, ended)
        self.result.revenue_lost_cny = revenue([operator.get(f"/incidents/{each}/impact") for each in ids])
        self._say("revenue lost", f"{self.result.revenue_lost_cny} CNY")
        services = {str(group["labels"].get("service")) for each in incidents for group in each["groups"]}
        after = budgets(operator)
        touched = [name for name in after if name.removesuffix("-answers") in services]
        self.result.slo_before = {name: self._budgets.get(name) for name in touched}
        self.result.slo_after = {name: after[name] for name in touched}
        self._say("error budgets left", f"before {self.result.slo_before}, after {self.result.slo_after}")
        self._notices()

    def _notices(self) -> None:
        """Count what arrived, once the end of every group that was told has been told."""
        self._wait("the notice of the end", NOTICES_SECONDS, lambda: not self._inbox.unended() or None)
        counts = {"platform": self._inbox.counts()}
        self.result.notices_sent = sum(counts["platform"].values())
        if self._beside is not None:
            self._beside.wait_ended(NOTICES_SECONDS, lambda text: self._say("alertmanager", text))
            counts["alertmanager"] = self._beside.inbox.counts()
            self.result.notices_alertmanager = sum(counts["alertmanager"].values())
        self.result.notices_by_status = counts
        for sender, told in counts.items():
            self._say("notices", f"{told['firing']} firing, {told['resolved']} resolved by {sender}")

    def _count(self, shop: Shop) -> None:
        """Compare what customers were promised with what the surviving database holds."""
        shop.supervise("customers-1", "stop")
        promised = shop.acknowledged()
        lost = promised - shop.kept()
        self.result.orders_lost = len(lost)
        self._say("orders counted", f"{len(promised)} acknowledged, {len(lost)} lost")


def _ranked(incident: dict[str, Any]) -> bool:
    """Whether the ranking is younger than the newest group of alerts that joined."""
    joined_at = max(datetime.fromisoformat(group["joined_at"]) for group in incident["groups"])
    return bool(incident["ranked_at"]) and datetime.fromisoformat(incident["ranked_at"]) >= joined_at


def play(name: str, *, seed: int, folder: Path | None, say: Say, beside: bool = False) -> tuple[Result, Path]:
    """Run a scenario (`a`, or `a+b`) in `folder` (None: a new one in the temporary folder). Raises UnknownFault.

    `beside`: with a plain Prometheus and Alertmanager beside it; raises NotBeside when they are not installed.
    """
    where = folder or Path(tempfile.mkdtemp(prefix="tongchou-scenario-"))
    where.mkdir(parents=True, exist_ok=True)
    return Story(name, seed=seed, folder=where, say=say, beside=beside).run(), where

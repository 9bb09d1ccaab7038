"""Builds what postmortems and improvements need: an outage that is over, drafts, samples of a metric for days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from tests.incidents.scene import Shop, close, opened, run_jobs
from tongchou.core.access import Actor, system
from tongchou.incidents import actions, improvements_actions, postmortem_actions
from tongchou.incidents.improvements_draft import Draft
from tongchou.incidents.models import Improvement, Incident, Postmortem
from tongchou.inventory.models import Resource
from tongchou.telemetry.actions import append
from tongchou.telemetry.series import SeriesBlock, labels_of

TESTS = system("tests")
QUERY = "checkout_error_ratio"


def outage(
    name: str = "CheckoutFails", *resources: Resource, at: datetime, minutes: float = 10, key: str = "", **labels: str
) -> Incident:
    """An incident whose one alert group opened and closed; it has recovered."""
    group = opened(name, *resources, at=at, key=key, **labels)
    run_jobs(timedelta())
    close(group, at + timedelta(minutes=minutes))
    run_jobs(timedelta())
    return Incident.objects.get(groups__group=group)


def written(actor: Actor, incident: Incident, summary: str = "The primary stopped.") -> Postmortem:
    """A postmortem with a summary."""
    row = postmortem_actions.start(actor=actor, incident=incident)
    return postmortem_actions.edit(actor=actor, postmortem=row, version=row.version, changes={"summary": summary})


def draft(by: Actor, **changes: Any) -> Draft:
    """An improvement with a check on QUERY that has to stay green for three days."""
    told: dict[str, Any] = {
        "title": "Keep a standby that takes over by itself",
        "kind": "prevent",
        "due_on": date(2026, 6, 1),
        "owner": by.user_id,
        "check_query": QUERY,
        "check_is": "< 0.05",
        "green_days": 3,
    }
    return Draft(**(told | changes))


def proving(actor: Actor, postmortem: Postmortem, **changes: Any) -> Improvement:
    """An improvement whose work is done."""
    row = improvements_actions.add(actor=actor, postmortem=postmortem, draft=draft(actor, **changes))
    return improvements_actions.finish_work(actor=actor, improvement=row)


def samples(
    start: datetime, hours: float, value: Callable[[datetime], float | None], *, name: str = QUERY, step: int = 60
) -> None:
    """Write a series, one sample each `step` seconds from `start`; None writes none."""
    times = [start + timedelta(seconds=step * number) for number in range(int(hours * 3600 / step) + 1)]
    pairs = [(int(at.timestamp() * 1000), found) for at in times if (found := value(at)) is not None]
    block = [(labels_of({"__name__": name, "job": "shop"}), [at for at, _v in pairs], [float(v) for _at, v in pairs])]
    append(SeriesBlock.build(block), actor=TESTS)


def shop_outage(at: datetime, **more: Any) -> tuple[Shop, Incident]:
    """The shop, and an outage of its checkout."""
    shop = Shop()
    return shop, outage("CheckoutFails", shop.orders_1, at=at, **more)


def resolved(actor: Actor, incident: Incident) -> Incident:
    """The incident, resolved by a person."""
    return actions.resolve(actor=actor, incident=Incident.objects.get(pk=incident.pk), comment="promoted the standby")

"""The whole loop, with time passing: incident, postmortem, improvement, proof on real samples, recurrence, open again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from tests.incidents.learning import draft, outage, resolved, samples, shop_outage, written
from tests.incidents.scene import run_jobs
from tongchou.core.access import Actor, system
from tongchou.core.models import Event
from tongchou.core.problems import Conflict
from tongchou.core.refs import ref
from tongchou.incidents import improvements_actions, improvements_proving, postmortem_actions, postmortem_reads
from tongchou.incidents.models import Improvement, ImprovementState

pytestmark = pytest.mark.django_db
# Shanghai's Monday, 2 March 2026, 20:00
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PROVER = system("improvement-prover")


def look(at: datetime) -> None:
    """The periodic job at a time."""
    with time_machine.travel(at, tick=False):
        for _turn in range(5):
            improvements_proving.look_at_all(actor=PROVER, now=at)


def test_from_incident_to_proof_to_recurrence(
    telemetry_db: object, operator_actor: Actor, approver_actor: Actor
) -> None:
    with time_machine.travel(START, tick=False):
        shop, incident = shop_outage(START - timedelta(minutes=15), key="checkout")
        incident = resolved(operator_actor, incident)
        postmortem = written(operator_actor, incident)
        postmortem_actions.submit(actor=operator_actor, postmortem=postmortem)
        postmortem_actions.publish(actor=approver_actor, postmortem=postmortem)
        row = improvements_actions.add(actor=operator_actor, postmortem=postmortem, draft=draft(operator_actor))
    # red until the fix on Tuesday noon, one bad hour on Thursday, no sample for twenty minutes on Friday
    thursday, friday = START + timedelta(days=3), START + timedelta(days=4)

    def value(at: datetime) -> float | None:
        if friday <= at < friday + timedelta(minutes=20):
            return None
        bad = at < START + timedelta(hours=16) or thursday <= at < thursday + timedelta(hours=1)
        return 0.5 if bad else 0.01

    samples(START - timedelta(hours=1), 24 * 9, value)
    with time_machine.travel(START + timedelta(hours=17), tick=False):
        improvements_actions.finish_work(actor=operator_actor, improvement=row)
    look(START + timedelta(days=2, hours=6))  # Thursday 02:00 in Shanghai: Wednesday was green
    row.refresh_from_db()
    assert (row.state, row.green_left) == (ImprovementState.PROVING, 2)
    with time_machine.travel(START + timedelta(days=2, hours=6), tick=False), pytest.raises(Conflict) as refused:
        improvements_proving.close(actor=operator_actor, improvement=row)
    assert refused.value.code == "improvement.unproven"
    assert refused.value.extra["days_left"] == 2
    look(thursday + timedelta(hours=2))
    look(friday + timedelta(hours=2))
    row.refresh_from_db()
    assert row.green_left == 3
    strip = improvements_proving.strip(row).days
    assert [each.state for each in strip] == ["red", "red", "green", "red", "no_data"]
    # Saturday, Sunday and Monday are green; on Tuesday it is done
    look(START + timedelta(days=7, hours=3, minutes=50))
    row.refresh_from_db()
    assert (row.state, row.green_left) == (ImprovementState.PROVING, 1)
    look(START + timedelta(days=7, hours=4, minutes=5))
    row.refresh_from_db()
    assert row.state == ImprovementState.DONE
    [done] = Event.objects.filter(verb="improvement.done")
    assert done.payload["days"] == 3
    assert Event.objects.filter(verb="improvement.count_restarted").count() == 1
    # three weeks later the same happens again
    with time_machine.travel(START + timedelta(days=21), tick=False):
        again = outage("CheckoutFails", shop.orders_1, at=START + timedelta(days=21, minutes=-15), key="checkout")
        run_jobs(timedelta())
    assert again.pk != incident.pk
    row.refresh_from_db()
    assert (row.state, row.reopened_by, row.reopened_count) == (ImprovementState.OPEN, again, 1)
    [before] = postmortem_reads.happened_before(operator_actor, again)
    assert (before.incident, before.reopened) == (incident, [row.name])
    [after] = postmortem_reads.happened_after(operator_actor, incident)
    assert after.incident == again
    [event] = Event.objects.filter(verb="improvement.reopened")
    assert {ref(again), ref(incident), ref(postmortem)} <= set(event.abouts.values_list("ref", flat=True))
    assert Improvement.objects.count() == 1

"""Happened before: when one incident is another again, and that duplicates in any order open things once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from tests.incidents.learning import outage, proving, resolved, samples, written
from tests.incidents.scene import Shop, run_jobs
from tongchou.alerting.models import AlertGroup
from tongchou.core.access import Actor, system
from tongchou.core.models import Event, Job
from tongchou.incidents import actions, improvements_proving, improvements_recurrence, postmortem_reads
from tongchou.incidents.improvements_recurrence import Fingerprint, again
from tongchou.incidents.models import Improvement, Incident, Recurrence, Suspect

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
KEEPER = system("incident-keeper")
IDS = [UUID(int=number) for number in range(1, 6)]
WORDS = st.frozensets(st.sampled_from("abc"), max_size=2)
PRINTS = st.builds(
    Fingerprint,
    incident=st.sampled_from(IDS),
    groups=WORDS,
    alerts=WORDS,
    causes=WORDS,
    chain=st.frozensets(st.sampled_from(IDS), max_size=2),
)


@given(PRINTS, PRINTS)
def test_an_incident_is_another_again_for_one_of_three_reasons(new: Fingerprint, earlier: Fingerprint) -> None:
    reason = again(new, earlier)
    if new.incident == earlier.incident:
        assert reason is None
    elif earlier.incident in new.chain:
        assert reason == "same_chain"
    elif new.groups & earlier.groups:
        assert reason == "same_group"
    else:
        alike = new.causes == earlier.causes and new.alerts == earlier.alerts
        known = bool(new.causes) and bool(new.alerts)
        assert reason == ("same_cause" if alike and known else None)


def at(days: float) -> datetime:
    return START + timedelta(days=days)


def happens(shop: Shop, when: datetime, *, key: str = "checkout", name: str = "CheckoutFails") -> Incident:
    """An outage of the shop at a time, seen a quarter of an hour later."""
    with time_machine.travel(when + timedelta(minutes=15), tick=False):
        found = outage(name, shop.orders_1, at=when, key=key)
        run_jobs(timedelta(minutes=1))
        found.refresh_from_db()
        return found


def close_up(actor: Actor, incident: Incident, when: datetime) -> Improvement:
    """Resolve it and write a postmortem whose improvement is being proven from `when` on."""
    with time_machine.travel(when, tick=False):
        row = proving(actor, written(actor, resolved(actor, incident)))
        run_jobs(timedelta(minutes=1))
        return row


def test_every_duplicate_in_any_order_opens_it_once(operator_actor: Actor) -> None:
    shop = Shop()
    first = happens(shop, START)
    row = close_up(operator_actor, first, at(1))
    second = happens(shop, at(5))
    row.refresh_from_db()
    assert (row.state, row.reopened_by) == ("open", second)
    for _time in range(3):
        Job.objects.filter(name__contains="recurrence", state="done").update(state="queued", run_at=START)
        run_jobs(timedelta())
        assert improvements_recurrence.look(actor=KEEPER, incident_id=second.pk) == []
    row.refresh_from_db()
    assert row.reopened_count == 1
    assert Event.objects.filter(verb="improvement.reopened").count() == 1
    assert Event.objects.filter(verb="incident.recurred").count() == 1
    [found] = Recurrence.objects.all()
    assert (found.incident, found.earlier, found.reason_code, found.reopened) == (
        second, first, "same_chain", ["IMP-1"],
    )  # fmt: skip


def test_work_that_was_done_after_it_began_is_not_blamed(operator_actor: Actor) -> None:
    shop = Shop()
    first = happens(shop, START)
    with time_machine.travel(at(1), tick=False):
        postmortem = written(operator_actor, resolved(operator_actor, first))
    with time_machine.travel(at(5), tick=False):
        row = proving(operator_actor, postmortem)
    second = happens(shop, at(4.99))
    row.refresh_from_db()
    assert row.state == "proving"
    [found] = postmortem_reads.happened_before(operator_actor, second)
    assert (found.incident, found.reopened, [each.name for each in found.improvements]) == (first, [], ["IMP-1"])


def test_the_whole_chain_is_named(operator_actor: Actor) -> None:
    shop = Shop()
    incidents = []
    for number in range(4):
        incidents.append(happens(shop, at(3 * number)))
        close_up(operator_actor, incidents[-1], at(3 * number + 1))
    found = postmortem_reads.happened_before(operator_actor, incidents[-1])
    assert [each.incident for each in found] == incidents[2::-1]
    assert Improvement.objects.filter(reopened_count=1).count() == 3


def test_the_same_alerts_and_first_suspect_count_only_when_it_is_over(operator_actor: Actor) -> None:
    shop = Shop()
    first = happens(shop, START, key="one")
    close_up(operator_actor, first, at(1))
    with time_machine.travel(at(9), tick=False):
        second = happens(shop, at(9), key="two")
        assert second.previous is None
    assert Suspect.objects.get(incident=first, rank=1).ref == Suspect.objects.get(incident=second, rank=1).ref
    [found] = Recurrence.objects.filter(incident=second)
    assert found.reason_code == "same_cause"
    other = happens(shop, at(12), key="three", name="OtherAlert")
    assert not Recurrence.objects.filter(incident=other).exists()


def test_two_incidents_at_one_time_are_not_one_again(operator_actor: Actor) -> None:
    shop = Shop()
    with time_machine.travel(START + timedelta(minutes=20), tick=False):
        first = outage("CheckoutFails", shop.orders_1, at=START, key="one", minutes=15)
        actions.resolve(actor=operator_actor, incident=first, comment="over")
        second = outage("CheckoutFails", shop.orders_1, at=START + timedelta(minutes=5), key="two")
        run_jobs(timedelta(minutes=1))
    assert first.pk != second.pk
    assert not Recurrence.objects.exists()


def test_a_process_that_dies_in_the_middle_of_a_turn_leaves_the_turn_untaken(
    operator_actor: Actor, telemetry_db: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = close_up(operator_actor, happens(Shop(), START), at(1))
    samples(at(1) - timedelta(hours=1), 24 * 6, lambda _moment: 0.01, step=240)
    before = row.checked_until
    judge = improvements_proving._judge

    def dies(*_told: object) -> None:
        raise KeyboardInterrupt

    with time_machine.travel(at(6), tick=False):
        monkeypatch.setattr(improvements_proving, "_judge", dies)
        with pytest.raises(KeyboardInterrupt):
            improvements_proving.look_at_all(actor=KEEPER, now=at(6))
        row.refresh_from_db()
        assert row.checked_until == before
        assert not row.spans.exists()
        monkeypatch.setattr(improvements_proving, "_judge", judge)
        improvements_proving.look_at_all(actor=KEEPER, now=at(6))
    row.refresh_from_db()
    assert row.state == "done"
    assert row.spans.count() == 1


@pytest.mark.parametrize("ended", [False, True])
def test_an_earlier_one_with_the_same_alert_group_is_before_only_when_it_was_over(ended: bool) -> None:
    shop = Shop()
    first, second = happens(shop, START, key="one"), happens(shop, at(3), key="two", name="OtherAlert")
    AlertGroup.objects.filter(incident_link__incident=second).update(key="one")  # a person moved groups
    if not ended:
        Incident.objects.filter(pk=first.pk).update(state="open", recovered_at=None, mitigated_at=None)
    found = improvements_recurrence.look(actor=KEEPER, incident_id=second.pk)
    assert [each.earlier for each in found] == ([first] if ended else [])

"""Postmortems: begun from the facts, written by several people, reviewed, published, never altered behind a back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone, translation
from hypothesis import given
from hypothesis import strategies as st

from tests.incidents.learning import resolved, shop_outage, written
from tests.incidents.scene import Shop, opened, run_jobs
from tongchou.core.access import Actor
from tongchou.core.models import Event
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.incidents import actions, postmortem_document, postmortem_markdown
from tongchou.incidents import postmortem_actions as write
from tongchou.incidents.models import Incident, Postmortem, PostmortemEdition
from tongchou.incidents.postmortem_facts import Instants, content_hash, durations

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
LEAD = timedelta(minutes=15)


@pytest.fixture
def incident(operator_actor: Actor) -> Incident:
    """A resolved critical incident of the shop."""
    _shop, found = shop_outage(timezone.now() - LEAD)
    return resolved(operator_actor, found)


def verbs(row: Postmortem) -> list[str]:
    return list(Event.objects.filter(subject=ref(row)).order_by("pk").values_list("verb", flat=True))


def test_it_begins_only_when_the_impact_is_over(operator_actor: Actor, viewer_actor: Actor) -> None:
    shop = Shop()
    opened("CheckoutFails", shop.orders_1)
    run_jobs(timedelta())
    found = Incident.objects.get()
    with pytest.raises(Conflict, match=r"postmortem\.too_early"):
        write.start(actor=operator_actor, incident=found)
    found = actions.mitigate(actor=operator_actor, incident=found)
    with pytest.raises(AccessDenied):
        write.start(actor=viewer_actor, incident=found)
    row = write.start(actor=operator_actor, incident=found)
    assert write.start(actor=operator_actor, incident=found) == row
    assert verbs(row) == ["postmortem.started"]


def test_the_snapshot_holds_what_the_incident_was(incident: Incident, operator_actor: Actor) -> None:
    facts = write.start(actor=operator_actor, incident=incident).facts
    assert facts["incident"]["name"] == incident.name
    assert facts["instants"]["resolved"] == incident.resolved_at.isoformat()
    assert facts["durations"]["resolve"] == pytest.approx(LEAD.total_seconds(), abs=5)
    assert facts["impact"]["reason"] == "no_metric"
    assert {each["name"] for each in facts["affected"]} >= {"orders-1", "orders"}
    assert [each["name"] for each in facts["alerts"]] == ["CheckoutFails"]
    told = [each["verb"] for each in facts["timeline"]]
    assert told[0] == "alert.group_opened"
    assert {"incident.opened", "incident.recovered", "incident.resolved"} <= set(told)
    assert facts["suspects"][0]["reasons"]


def test_taking_the_snapshot_again_says_the_same_until_something_happens(
    incident: Incident, operator_actor: Actor
) -> None:
    row = written(operator_actor, incident)
    before, version = row.facts, row.version
    assert write.refresh(actor=operator_actor, postmortem=row) is False
    assert row.facts | {"taken_at": ""} == before | {"taken_at": ""}
    assert (row.version, row.summary) == (version, "The primary stopped.")
    actions.add_note(actor=operator_actor, incident=incident, text="looked at the disks")
    assert write.refresh(actor=operator_actor, postmortem=row) is True
    assert row.facts["timeline"][-1]["payload"]["text"] == "looked at the disks"
    assert row.summary == "The primary stopped."


def test_two_writers_lose_nothing(incident: Incident, operator_actor: Actor, approver_actor: Actor) -> None:
    row = written(operator_actor, incident)
    version = row.version
    theirs = Postmortem.objects.get(pk=row.pk)
    write.edit(actor=approver_actor, postmortem=theirs, version=version, changes={"lessons": "backups are slow"})
    with pytest.raises(Conflict) as refused:
        write.edit(actor=operator_actor, postmortem=row, version=version, changes={"summary": "mine"})
    assert refused.value.code == "postmortem.version"
    assert refused.value.extra["current"]["lessons"] == "backups are slow"
    row.refresh_from_db()
    assert (row.summary, row.lessons) == ("The primary stopped.", "backups are slow")
    write.edit(
        actor=operator_actor, postmortem=row, version=refused.value.extra["version"], changes={"summary": "mine"}
    )
    assert (row.summary, row.lessons) == ("mine", "backups are slow")


def test_saving_often_tells_the_ledger_once_in_a_while(incident: Incident, operator_actor: Actor) -> None:
    row = write.start(actor=operator_actor, incident=incident)
    for number in range(5):
        write.edit(actor=operator_actor, postmortem=row, version=row.version, changes={"summary": f"draft {number}"})
    assert verbs(row).count("postmortem.edited") in (1, 2)  # two when the ten minutes turn in the middle
    assert row.version == 6
    write.edit(actor=operator_actor, postmortem=row, version=row.version, changes={"summary": "draft 4"})
    assert row.version == 6


def test_events_can_be_hidden_and_remarked_on_but_not_altered(incident: Incident, operator_actor: Actor) -> None:
    row = write.start(actor=operator_actor, incident=incident)
    first, second = (each["id"] for each in row.facts["timeline"][:2])
    changes = {"marks": {str(first): {"hidden": True}, str(second): {"note": "we saw it on the phone"}}}
    write.edit(actor=operator_actor, postmortem=row, version=row.version, changes=changes)
    document = postmortem_document.read(row)
    assert [each.event_id for each in document.moments if each.hidden] == [first]
    assert next(each.note for each in document.shown if each.event_id == second) == "we saw it on the phone"
    assert len(document.moments) == len(row.facts["timeline"])
    write.edit(actor=operator_actor, postmortem=row, version=row.version, changes={"marks": {str(first): {}}})
    assert set(row.marks) == {str(second)}
    with pytest.raises(Invalid, match=r"postmortem\.event"):
        write.edit(actor=operator_actor, postmortem=row, version=row.version, changes={"marks": {"999999": {}}})


def test_a_critical_one_is_published_by_another_person(
    incident: Incident, operator_actor: Actor, approver_actor: Actor
) -> None:
    row = write.start(actor=operator_actor, incident=incident)
    with pytest.raises(Invalid, match=r"postmortem\.summary"):
        write.submit(actor=operator_actor, postmortem=row)
    row = written(operator_actor, incident)
    with pytest.raises(Conflict, match=r"postmortem\.state"):
        write.publish(actor=approver_actor, postmortem=row)
    write.submit(actor=operator_actor, postmortem=row)
    with pytest.raises(Conflict, match=r"postmortem\.state"):
        write.edit(actor=operator_actor, postmortem=row, version=row.version, changes={"summary": "other"})
    with pytest.raises(AccessDenied, match=r"postmortem\.own_review"):
        write.publish(actor=operator_actor, postmortem=row)
    edition = write.publish(actor=approver_actor, postmortem=row)
    assert content_hash(edition.content) == edition.content_hash == row.content_hash
    assert verbs(row)[-2:] == ["postmortem.submitted", "postmortem.published"]


def test_what_is_published_stays_and_a_revision_is_another_edition(
    incident: Incident, operator_actor: Actor, approver_actor: Actor
) -> None:
    row = written(operator_actor, incident)
    write.submit(actor=operator_actor, postmortem=row)
    write.give_back(actor=approver_actor, postmortem=row, comment="what about the standby?")
    write.add_cause(actor=operator_actor, postmortem=row, cause=write.CauseDraft("latent", "no standby was warm"))
    write.submit(actor=operator_actor, postmortem=row)
    first = write.publish(actor=approver_actor, postmortem=row)
    for attempt in (
        lambda: write.refresh(actor=operator_actor, postmortem=row),
        lambda: write.submit(actor=operator_actor, postmortem=row),
        lambda: write.add_cause(actor=operator_actor, postmortem=row, cause=write.CauseDraft("trigger", "x")),
        lambda: write.remove_cause(actor=operator_actor, cause=row.causes.get()),
    ):
        with pytest.raises(Conflict, match=r"postmortem\.state"):
            attempt()
    write.revise(actor=operator_actor, postmortem=row)
    write.edit(actor=operator_actor, postmortem=row, version=row.version, changes={"summary": "better words"})
    write.submit(actor=approver_actor, postmortem=row)
    second = write.publish(actor=operator_actor, postmortem=row)
    assert [each.number for each in PostmortemEdition.objects.all()] == [2, 1]
    first.refresh_from_db()
    assert (first.content["summary"], second.content["summary"]) == ("The primary stopped.", "better words")
    assert content_hash(first.content) == first.content_hash != second.content_hash


def test_a_cause_names_its_kind_and_evidence(incident: Incident, operator_actor: Actor) -> None:
    row = written(operator_actor, incident)
    for wrong in (
        write.CauseDraft("root", "the one"),
        write.CauseDraft("trigger", " "),
        write.CauseDraft("trigger", "x", ref="nowhere"),
        write.CauseDraft("trigger", "x", evidence="up"),
        write.CauseDraft("trigger", "x", evidence_kind="query"),
    ):
        with pytest.raises(Invalid, match=r"postmortem\.cause"):
            write.add_cause(actor=operator_actor, postmortem=row, cause=wrong)
    suspect = row.facts["suspects"][0]["ref"]
    good = write.CauseDraft("trigger", "the disk failed", suspect, "query", "up == 0")
    cause = write.add_cause(actor=operator_actor, postmortem=row, cause=good)
    write.change_cause(actor=operator_actor, cause=cause, wanted=write.CauseDraft("external", "power was lost"))
    assert (cause.kind, cause.ref) == ("external", "")
    write.remove_cause(actor=operator_actor, cause=cause)
    assert verbs(row)[-3:] == ["postmortem.cause_added", "postmortem.cause_changed", "postmortem.cause_removed"]


@pytest.mark.parametrize(("language", "words"), [("en", "Time to resolve"), ("zh-hans", "解决用时")])
def test_the_document_reads_in_either_language_and_peoples_words_stay(
    incident: Incident, operator_actor: Actor, language: str, words: str
) -> None:
    row = written(operator_actor, incident, "# Hot\nThe *primary* stopped | 主库停了")
    with translation.override(language):
        text = postmortem_markdown.write(row, postmortem_document.read(row), row.causes.all(), [])
    assert words in text
    assert "### Hot\nThe *primary* stopped | 主库停了" in text
    assert incident.name in text


def test_facts_cannot_break_the_markdown() -> None:
    assert postmortem_markdown.plain("a | <b>\n# `c` [d](e)") == r"a \| \<b\> \# \`c\` \[d\](e)"


INSTANT = st.none() | st.integers(-3600, 7200).map(lambda s: timezone.now() + timedelta(seconds=s))


@given(INSTANT, INSTANT, INSTANT)
def test_durations_are_never_negative_and_absent_only_without_their_instant(
    acknowledged, mitigated, resolved_at
) -> None:
    start = timezone.now() - timedelta(seconds=90)
    found = durations(Instants(start, start + timedelta(seconds=60), acknowledged, mitigated, resolved_at))
    assert found.detect == 60
    for value, instant, since in (
        (found.acknowledge, acknowledged, start + timedelta(seconds=60)),
        (found.mitigate, mitigated, start),
        (found.resolve, resolved_at, start),
    ):
        assert (value is None) == (instant is None)
        assert instant is None or value == pytest.approx(max(0.0, (instant - since).total_seconds()), abs=0.01)

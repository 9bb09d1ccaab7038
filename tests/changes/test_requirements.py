"""Requirements: review, acceptance bound to the content, options, the choice and its record; who may do what."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import make_user
from tongchou.changes import (
    decision_actions,
    decision_document,
    option_actions,
    option_draft,
    requirement_actions,
    requirement_draft,
    scorecard_actions,
    verdicts,
)
from tongchou.changes import requirement_reads as reads
from tongchou.changes.models_control import Change
from tongchou.changes.models_requirements import Decision, Option, Requirement
from tongchou.core import approvals, ledger, settings_store
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Approval, Event, Membership, Role, Team, User
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.inventory import actions as inventory

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
TESTS = system("tests")
DRAFT = requirement_draft.Draft(title="Sale", need="Orders triple for a week", slo_percent="99.9", budget="1000")
WEB = "series: shop\n  parallel: web, beta 5%\n    web x2 | 99% | vendor: sheet\n  db | 99.99% | assumption: like now"


def requirement(**more: Any) -> Requirement:
    return requirement_actions.add(actor=TESTS, draft=replace(DRAFT, currency="CNY", **more))


def reviewed(row: Requirement) -> Requirement:
    """In review, each question answered about what it says now."""
    if row.state == "draft":
        requirement_actions.submit(actor=TESTS, requirement=row)
    answers = [{"answer": "yes"} for _each in row.checklist]
    return requirement_actions.answer(actor=TESTS, requirement=row, answers=answers)


def accepted(row: Requirement) -> Requirement:
    """Accepted by another person."""
    requirement_actions.request_acceptance(actor=TESTS, requirement=reviewed(row))
    decide(row)
    assert row.state == "accepted"
    return row


def decide(row: Requirement, *, yes: bool = True) -> Approval:
    approval = Approval.objects.get(pk=row.approval_id)
    boss = actor_for_user(make_user(f"boss-{User.objects.count()}", Role.APPROVER))
    (approvals.approve if yes else approvals.reject)(actor=boss, approval=approval, comment="seen")
    requirement_actions.acceptance_decided(approval=approval)
    row.refresh_from_db()
    return approval


def option(row: Requirement, name: str = "two", **more: Any) -> Option:
    return option_actions.add(actor=TESTS, requirement=row, draft=option_draft.Draft(name, structure=WEB, **more))


def verbs(row: Any) -> list[str]:
    return [each.verb for each in reversed(list(ledger.events(about=ref(row))))]


def test_a_requirement_goes_through_its_review_and_is_accepted_by_another_person() -> None:
    row = accepted(requirement())
    assert (row.name, row.accepted_by_name[:4]) == ("REQ-1", "boss")
    assert row.accepted_hash == reads.content_hash(row)
    assert verbs(row)[:4] == [
        "requirement.added", "requirement.submitted", "requirement.answered", "approval.requested"
    ]  # fmt: skip
    assert verbs(row)[-1] == "requirement.accepted"


def test_it_is_not_put_to_others_before_every_question_is_answered_about_what_it_says_now() -> None:
    row = requirement()
    requirement_actions.submit(actor=TESTS, requirement=row)
    assert [each["text"] for each in row.checklist] == settings_store.get("changes.review_checklist")
    with pytest.raises(Conflict, match=r"requirement\.unanswered"):
        requirement_actions.request_acceptance(actor=TESTS, requirement=row)
    reviewed(row)
    requirement_actions.change(
        actor=TESTS, requirement=row, version=row.version, draft=replace(reads.draft_of(row), need="Orders double")
    )
    with pytest.raises(Conflict, match=r"requirement\.unanswered"):
        requirement_actions.request_acceptance(actor=TESTS, requirement=row)
    reviewed(row)
    first = requirement_actions.request_acceptance(actor=TESTS, requirement=row).approval_id
    assert requirement_actions.request_acceptance(actor=TESTS, requirement=row).approval_id == first


def test_a_no_in_the_review_says_why_and_is_told_to_who_accepts() -> None:
    row = requirement()
    requirement_actions.submit(actor=TESTS, requirement=row)
    answers = [{"answer": "n-a"} for _each in row.checklist]
    with pytest.raises(Invalid) as refused:
        requirement_actions.answer(actor=TESTS, requirement=row, answers=[{"answer": "no"}, *answers[1:]])
    assert refused.value.field == "answers[0].note"
    requirement_actions.answer(
        actor=TESTS, requirement=row, answers=[{"answer": "no", "note": "nobody asked"}, *answers[1:]]
    )
    requirement_actions.request_acceptance(actor=TESTS, requirement=row)
    assert row.checklist[0]["text"] in Approval.objects.get(pk=row.approval_id).reason


def test_an_edit_after_acceptance_sends_it_back_to_review_and_says_so() -> None:
    row = accepted(requirement())
    draft = replace(reads.draft_of(row), budget=Decimal(2000))
    requirement_actions.change(actor=TESTS, requirement=row, version=row.version, draft=draft)
    assert (row.state, row.accepted_hash, row.approval_id) == ("in_review", "", None)
    assert verbs(row)[-2:] == ["requirement.changed", "requirement.returned"]
    with pytest.raises(Conflict):
        decision_actions.choose(actor=TESTS, option=option(row))
    accepted(row)


def test_whose_it_is_may_change_without_another_acceptance() -> None:
    row = accepted(requirement())
    owner = make_user("olga", Role.OPERATOR)
    requirement_actions.change(
        actor=TESTS, requirement=row, version=row.version, draft=replace(reads.draft_of(row), owner=owner.pk)
    )
    assert (row.state, row.owner) == ("accepted", owner)


def test_an_approval_of_what_was_edited_meanwhile_accepts_nothing() -> None:
    row = reviewed(requirement())
    requirement_actions.request_acceptance(actor=TESTS, requirement=row)
    old = Approval.objects.get(pk=row.approval_id)
    requirement_actions.change(
        actor=TESTS, requirement=row, version=row.version, draft=replace(reads.draft_of(row), title="Other")
    )
    old.refresh_from_db()
    assert old.state == "cancelled"
    assert requirement_actions.acceptance_decided(approval=old) is None
    row.refresh_from_db()
    assert row.state == "in_review"


def test_a_rejected_one_may_be_taken_up_again() -> None:
    row = reviewed(requirement())
    requirement_actions.request_acceptance(actor=TESTS, requirement=row)
    decide(row, yes=False)
    assert (row.state, row.ended_note) == ("rejected", "seen")
    requirement_actions.reopen(actor=TESTS, requirement=row, note="with a smaller budget")
    assert row.state == "draft"
    accepted(row)


def test_of_two_who_write_the_second_is_told() -> None:
    row = requirement()
    version = row.version
    draft = replace(reads.draft_of(row), title="One")
    requirement_actions.change(actor=TESTS, requirement=row, version=version, draft=draft)
    with pytest.raises(Conflict, match=r"design\.version"):
        requirement_actions.change(actor=TESTS, requirement=row, version=version, draft=replace(draft, title="Two"))


def test_people_are_asked_once_and_say_what_they_think_about_what_it_says() -> None:
    row, asked = requirement(), make_user("asked", Role.VIEWER)
    for _again in range(2):
        requirement_actions.ask(actor=TESTS, requirement=row, users=[asked])
    assert Event.objects.filter(verb="requirement.participant_asked").count() == 1
    with pytest.raises(Invalid):
        requirement_actions.say(actor=actor_for_user(asked), requirement=row, answer="no")
    said = requirement_actions.say(actor=actor_for_user(asked), requirement=row, answer="no", comment="too soon")
    assert (said.answer, said.about_hash) == ("no", reads.content_hash(row))
    with pytest.raises(AccessDenied):
        requirement_actions.say(actor=actor_for_user(make_user("other", Role.ADMIN)), requirement=row, answer="yes")


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("title", " ", "title"),
        ("budget", "-1", "budget"),
        ("budget", "1.001", "budget"),
        ("currency", "yuan", "currency"),
        ("slo_percent", "100", "slo_percent"),
        ("mlps_level", 6, "mlps_level"),
        ("rto_minutes", "1.5", "rto_minutes"),
        ("data_class", "secret", "data_class"),
        ("load", [{"metric": "orders"}], "load[0].value"),
        ("load", [{"metric": "orders", "value": "many"}], "load[0].value"),
        ("load", [{"orders": 5}], "load[0]"),
        ("wanted_on", date(1990, 1, 1), "wanted_on"),
    ],
)
def test_what_will_not_do_names_its_field(field: str, value: Any, where: str) -> None:
    draft = replace(DRAFT, currency="CNY")
    with pytest.raises(Invalid) as refused:
        requirement_actions.add(actor=TESTS, draft=replace(draft, **{field: value}))
    assert refused.value.field == where


def test_a_load_follows_from_its_baseline_and_uplift() -> None:
    row = requirement(load=[{"metric": "orders", "unit": "/s", "baseline": "120", "uplift_percent": "250"}])
    assert row.load[0]["value"] == "420"


# --- teams ----------------------------------------------------------------------------------------------------------


def member(team: Team, role: Role) -> Actor:
    user = make_user(f"member-{User.objects.count()}", None)
    Membership.objects.create(user=user, team=team, role=role)
    return actor_for_user(user)


def test_a_team_sees_and_changes_what_it_owns_and_what_it_is_asked_about() -> None:
    ours, theirs = Team.objects.create(name="ours"), Team.objects.create(name="theirs")
    row = requirement(owner_team=theirs.pk)
    viewer, operator = member(ours, Role.VIEWER), member(ours, Role.OPERATOR)
    for actor in (viewer, operator):
        assert not reads.requirements(actor).exists()
        with pytest.raises(NotFound):
            reads.requirement(actor, number=row.number)
    with pytest.raises(AccessDenied):
        requirement_actions.add(actor=operator, draft=replace(DRAFT, currency="CNY"))
    requirement_actions.ask(actor=TESTS, requirement=row, users=[User.objects.get(pk=viewer.user_id)])
    assert reads.requirement(viewer, number=row.number) == row
    with pytest.raises(AccessDenied):
        requirement_actions.submit(actor=viewer, requirement=row)
    mine = requirement_actions.add(actor=operator, draft=replace(DRAFT, currency="CNY", owner_team=ours.pk))
    with pytest.raises(AccessDenied):  # nobody gives away what they may not take back
        requirement_actions.change(
            actor=operator, requirement=mine, version=1, draft=replace(reads.draft_of(mine), owner_team=theirs.pk)
        )


def test_a_service_the_actor_may_not_see_cannot_be_named_and_stays_where_it_was() -> None:
    ours, theirs = Team.objects.create(name="ours"), Team.objects.create(name="theirs")
    hidden = inventory.create_resource(actor=TESTS, kind="service", name="hidden", owner=theirs)
    operator = member(ours, Role.OPERATOR)
    draft = replace(DRAFT, currency="CNY", owner_team=ours.pk, services=[hidden.pk])
    with pytest.raises(Invalid) as refused:
        requirement_actions.add(actor=operator, draft=draft)
    assert refused.value.field == "services"
    row = requirement_actions.add(actor=TESTS, draft=draft)
    requirement_actions.change(
        actor=operator, requirement=row, version=1, draft=replace(reads.draft_of(row), title="Renamed")
    )
    assert list(row.services.all()) == [hidden]


# --- options and the choice -----------------------------------------------------------------------------------------


def test_an_option_is_computed_and_judged() -> None:
    row = requirement(wanted_on=timezone.localdate() + timedelta(days=10))
    option(row, capex="500", opex_monthly="50", currency="CNY", lead_days=30,
           sources={"capex": "offer 12", "opex_monthly": "bill of March", "lead_days": "supplier"})  # fmt: skip
    (found,) = reads.compared(row)
    down = 0.05 * 0.01 + (0.95 * 0.01) ** 2
    assert found.option.availability == pytest.approx((1 - down) * 0.9999)
    assert found.option.computed["weakest"][0]["name"] == "web"
    assert {each.criterion: each.met for each in found.verdicts} == {"slo": True, "date": False, "budget": False}
    assert (found.meets, found.cost) == (False, Decimal("1100.00"))


def test_what_is_not_stated_is_not_met() -> None:
    wanted = verdicts.Wanted(Decimal("99.9"), date(2026, 3, 1), Decimal(5), "CNY")
    assert [each.met for each in verdicts.judge(wanted, verdicts.Offered(), date(2026, 1, 1))] == [None] * 3
    other = verdicts.Offered(capex=Decimal(1), opex_monthly=Decimal(0), currency="EUR")
    assert verdicts.judge(wanted, other, date(2026, 1, 1))[2].met is None
    assert verdicts.meets([]) is None


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"capex": "5"}, "sources.capex"),
        ({"co2e_kg_monthly": "5", "sources": {"co2e_kg_monthly": " "}}, "sources.co2e_kg_monthly"),
        ({"capex": "5", "sources": {"capex": "offer"}}, "currency"),
        ({"resources": [{"kind": "spaceship", "name": "x"}]}, "resources[0].kind"),
        ({"resources": [{"kind": "host", "name": "x", "count": 0}]}, "resources[0].count"),
        ({"risks": [{"risk": "late", "likelihood": 6, "impact": 1}]}, "risks[0].likelihood"),
        ({"structure": "nothing"}, "structure[1]"),
    ],
)
def test_an_option_that_will_not_do_names_its_field(more: dict[str, Any], where: str) -> None:
    with pytest.raises(Invalid) as refused:
        option_draft.good(option_draft.Draft("a", **more))
    assert refused.value.field == where


def test_a_choice_writes_one_record_bound_to_what_was_decided_on() -> None:
    row = requirement()
    host = inventory.create_resource(actor=TESTS, kind="host", name="h1")
    two = option(row, resources=[{"existing": str(host.pk)}], changes=[{"title": "Add a server"}])
    option(row, "three")
    accepted(row)
    made = decision_actions.choose(actor=TESTS, option=two, decision="Two servers", consequences="One more to patch")
    row.refresh_from_db()
    assert (row.state, made.status, made.option) == ("decided", "accepted", two)
    assert decision_actions.choose(actor=TESTS, option=two) == made
    assert Decision.objects.count() == 1
    (event,) = ledger.events(about=ref(host), verbs=["option.chosen"])
    assert event.subject == ref(row)
    assert event.payload["decision_ref"] == ref(made)
    assert [each["name"] for each in made.considered] == ["two", "three"]
    with pytest.raises(Conflict):  # what was decided stays as it was
        option_actions.change(actor=TESTS, option=two, version=two.version, draft=option_actions.draft_of(two))
    with pytest.raises(Conflict):
        option_actions.remove(actor=TESTS, option=two)


def test_a_choice_becomes_changes_once_and_is_not_done_before_they_are() -> None:
    team = Team.objects.create(name="web")
    row = requirement(owner_team=team.pk)
    host = inventory.create_resource(actor=TESTS, kind="host", name="h1")
    steps = [{"title": "Join the pool", "order": 2}, {"title": "Rack it", "what": "In room 3", "order": 1}]
    new = {"kind": "host", "name": "web-5", "count": 2}
    two = option(row, resources=[{"existing": str(host.pk)}, new], changes=steps)
    made = decision_actions.choose(actor=TESTS, option=option_of(accepted(row), two))
    changes = list(Change.objects.order_by("number"))
    assert [each.title for each in changes] == ["Rack it", "Join the pool"]
    assert {(each.team, each.state, each.origin) for each in changes} == {(team, "new", ref(two))}
    assert [each.resource for each in changes[0].touched.all()] == [host]
    assert "In room 3" in changes[0].description
    assert "2 x web-5" in changes[0].description
    (event,) = ledger.events(about=ref(changes[0]), verbs=["option.chosen"])
    assert [each["name"] for each in event.payload["changes"]] == [each.name for each in changes]
    assert decision_actions.choose(actor=TESTS, option=option_of(row, two)) == made
    assert Change.objects.count() == 2
    row.refresh_from_db()
    with pytest.raises(Conflict, match=r"requirement\.under_way"):
        requirement_actions.finish(actor=TESTS, requirement=row, note="built")
    Change.objects.update(state="closed")
    assert requirement_actions.finish(actor=TESTS, requirement=row, note="built").state == "done"


def test_another_choice_supersedes_the_first() -> None:
    row = requirement()
    two, three = option(row), option(row, "three")
    first = decision_actions.choose(actor=TESTS, option=option_of(accepted(row), two))
    row.refresh_from_db()
    requirement_actions.reopen(actor=TESTS, requirement=row, note="more was needed")
    accepted(row)
    second = decision_actions.choose(actor=TESTS, option=option_of(row, three))
    first.refresh_from_db()
    assert (first.status, second.status, second.supersedes) == ("superseded", "accepted", first)
    assert [each.chosen for each in reads.compared(row)] == [False, True]


def option_of(_row: Requirement, each: Option) -> Option:
    return Option.objects.select_related("requirement").get(pk=each.pk)


def test_a_record_without_an_option_is_proposed_accepted_and_superseded() -> None:
    first = decision_actions.propose(actor=TESTS, draft=decision_actions.Draft("Use PostgreSQL", "Two nodes"))
    with pytest.raises(Invalid) as refused:
        decision_actions.accept(actor=TESTS, decision=first)
    assert refused.value.field == "decision"
    decision_actions.change(
        actor=TESTS, decision=first, version=1, draft=decision_actions.Draft("Use PostgreSQL", "Two nodes", "Yes")
    )
    decision_actions.accept(actor=TESTS, decision=first)
    with pytest.raises(Conflict):
        decision_actions.change(actor=TESTS, decision=first, version=first.version, draft=decision_actions.Draft("x"))
    second = decision_actions.propose(
        actor=TESTS, draft=decision_actions.Draft("Use MySQL", "", "Yes", supersedes=first.pk)
    )
    decision_actions.accept(actor=TESTS, decision=second)
    first.refresh_from_db()
    assert first.status == "superseded"
    text = decision_document.markdown(reads.decision(TESTS, decision_id=second.pk))
    assert "# ADR-2" in text
    assert "ADR-1" in text
    decision_actions.deprecate(actor=TESTS, decision=second, note="no databases any more")
    assert second.status == "deprecated"


def test_markup_in_a_record_stays_text_in_its_document() -> None:
    row = requirement()
    two = option(row, "a | b\n# no heading")
    made = decision_actions.choose(actor=TESTS, option=option_of(accepted(row), two))
    text = decision_document.markdown(reads.decision(TESTS, decision_id=made.pk))
    assert "\n# no heading" not in text
    assert "a \\| b" in text


def test_a_scorecard_is_kept_with_its_winner() -> None:
    draft = scorecard_actions.Draft(
        "Database", criteria=[{"name": "cost", "weight": "3"}, {"name": "fit", "weight": 1}], candidates=["A", "B"],
        scores={"A": {"cost": {"score": "4"}, "fit": {"score": 2, "note": "so so"}}, "B": {"cost": {"score": "2"}}},
    )  # fmt: skip
    card = scorecard_actions.add(actor=TESTS, draft=draft)
    assert (card.name, card.winner) == ("SC-1", "")
    assert scorecard_actions.weighed(card).missing == [("B", "fit")]
    full = replace(draft, scores={**draft.scores, "B": {"cost": {"score": "2"}, "fit": {"score": "5"}}})
    scorecard_actions.change(actor=TESTS, card=card, version=1, draft=full)
    assert card.winner == "A"
    for wrong in (
        {"scores": {"A": {"cost": {"score": "5.5"}}}},
        {"scores": {"C": {}, "A": {"size": {"score": 1}}}},
        {"candidates": ["A", "A"]},
        {"criteria": [{"name": "cost"}]},
    ):
        with pytest.raises(Invalid):
            scorecard_actions.change(actor=TESTS, card=card, version=card.version, draft=replace(draft, **wrong))

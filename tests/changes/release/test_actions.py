"""What people do to a release, at bad moments: twice at once, after it has moved, in the middle of the way back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.utils import timezone

from tests.changes.release.conftest import DEPLOY, Shop, fresh, pieces, put_rollout, work
from tests.runbooks.conftest import TESTS, reply
from tongchou.changes import catalogue_actions, control
from tongchou.changes.draft import Draft, TaskDraft
from tongchou.changes.models import Deployment
from tongchou.changes.models_release import Release, ReleaseBatch, Rollout
from tongchou.changes.release import actions, artefacts, engine, keeping, setup
from tongchou.changes.release.artefacts import Told
from tongchou.core import approval_policies, approvals, jobs, people, settings_store
from tongchou.core.models import Approval
from tongchou.core.problems import Conflict
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource
from tongchou.runbooks import actions as runbooks
from tongchou.runbooks.models import Procedure, Run


def one_job() -> None:
    """Run the job that is due first."""
    row = jobs.claim("inline")
    if row is not None:
        jobs.run_one(row)


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_of_two_releases_of_a_service_that_are_started_at_once_one_begins(shop: Shop, monkeypatch) -> None:
    rows = [shop.agreed(shop.plan(version)) for version in ("2.0", "3.0")]
    before_both = Barrier(2)
    asked = actions.refusals

    def both_were_let_through(release: Release) -> list:
        found = asked(release)
        before_both.wait(10)
        return found

    monkeypatch.setattr(actions, "refusals", both_were_let_through)

    def start(row: Release) -> str:
        try:
            actions.start(actor=shop.people[0], release=row)
        except Conflict as problem:
            return problem.code
        finally:
            connection.close()
        return "started"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(start, rows)) == ["release.busy", "started"]


def test_a_change_is_not_made_for_a_release_that_began_meanwhile(shop: Shop) -> None:
    seen = shop.agreed(shop.plan("2.0"))
    actions.start(actor=shop.people[0], release=fresh(seen))
    with pytest.raises(Conflict) as refused:
        actions.make_change(actor=shop.people[0], release=seen)
    assert refused.value.code == "release.state"
    assert fresh(seen).state == "running", "it was taken out of its way"


def test_leaving_one_in_the_middle_of_its_way_back_ends_everything_of_it(shop: Shop) -> None:
    work(shop.started("1.0"))
    release = shop.started("2.0")
    shop.effects.answers["/install/shop-2/2.0"] = lambda handler, _request: reply(handler, 500)
    for _step in range(40):
        engine.advance(release.pk)
        if ReleaseBatch.objects.filter(item__release=release, state="rolling_back").exists():
            break
        one_job()
    keeping.pause_what_was_under_way()
    with pytest.raises(Conflict) as refused:
        actions.leave(actor=shop.people[0], release=fresh(release), reason="mended by hand")
    assert refused.value.code == "release.run_active", "the run of the way back goes on"
    jobs.run_due()
    release = actions.leave(actor=shop.people[0], release=fresh(release), reason="mended by hand")
    assert (release.state, pieces(release)) == ("failed", [["done", "left", "skipped"]])
    assert not Deployment.objects.filter(status="running").exists(), "a deployment runs for ever"


def test_what_was_taken_back_wholly_before_it_is_left_is_what_it_was_before(shop: Shop) -> None:
    work(shop.started("1.0"))
    release = shop.started("2.0")
    engine.advance(release.pk)
    ReleaseBatch.objects.filter(item__release=release, number=1).update(state="rolled_back")
    release.items.update(state="rolling_back")
    Release.objects.filter(pk=release.pk).update(state="paused")
    release = actions.leave(actor=shop.people[0], release=fresh(release), reason="it is well as it is")
    assert [each.state for each in release.items.all()] == ["rolled_back"]
    told = Deployment.objects.order_by("started_at").values_list("version", "status", "rollback")
    assert list(told) == [("1.0", "succeeded", False), ("2.0", "failed", False), ("1.0", "succeeded", True)]


def test_going_on_in_the_middle_of_the_way_back_takes_nothing_back_twice(shop: Shop) -> None:
    work(shop.started("1.0"))
    release = shop.started("2.0")
    shop.effects.answers["/install/shop-2/2.0"] = lambda handler, _request: reply(handler, 500)
    for _step in range(60):
        engine.advance(release.pk)
        if ReleaseBatch.objects.filter(item__release=release, state="rolled_back").exists():
            break
        one_job()
    keeping.pause_what_was_under_way()
    release = work(actions.resume(actor=shop.people[0], release=fresh(release)))
    assert (release.state, pieces(release)) == ("rolled_back", [["rolled_back", "rolled_back", "skipped"]])
    assert Run.objects.filter(about_ref=ref(release)).count() == 4, "two forward, two back"


def test_what_failed_is_tried_again_once_its_cancelled_run_has_come_to_rest(shop: Shop) -> None:
    put_rollout(shop.service, shop.environment, on_failure="pause")
    release = shop.started("2.0")
    engine.advance(release.pk)
    run = Run.objects.get(about_ref=ref(release))
    run.steps.filter(name="install").update(state="started", started_at=timezone.now())
    runbooks.cancel(actor=shop.people[0], run=run, comment="it takes too long")
    Run.objects.filter(pk=run.pk).update(state="cancelled")
    ReleaseBatch.objects.filter(run=run).update(state="failed")
    Release.objects.filter(pk=release.pk).update(state="paused")
    actions.resume(actor=shop.people[0], release=fresh(release))
    assert engine.advance(release.pk) == 0, "two runs are on the same host"
    run.steps.filter(name="install").update(state="succeeded")
    assert work(release).state == "succeeded"


def test_a_way_back_that_is_refused_for_now_waits_for_a_person(shop: Shop, monkeypatch) -> None:
    """The emergency stop, a rate limit, metrics that are away: nothing is given up for what passes."""
    turns = actions.go_back

    def stopping(*args) -> None:
        turns(*args)
        settings_store.put(actor=TESTS, key="execution.stopped", value=True)

    work(shop.started("1.0"))
    release = shop.started("2.0")
    shop.effects.answers["/install/shop-2/2.0"] = lambda handler, _request: reply(handler, 500)
    monkeypatch.setattr(engine.actions, "go_back", stopping)
    release = work(release)
    assert (release.state, release.outcome["code"]) == ("paused", "run_refused")
    assert pieces(release) == [["done", "failed", "waiting"]]
    monkeypatch.setattr(engine.actions, "go_back", turns)
    settings_store.put(actor=TESTS, key="execution.stopped", value=False)
    release = work(actions.roll_back(actor=shop.people[0], release=release, reason="it goes on"))
    assert (release.state, pieces(release)) == ("rolled_back", [["rolled_back", "rolled_back", "skipped"]])


def test_the_way_back_is_the_one_that_was_agreed_on_though_the_rollout_says_another(shop: Shop) -> None:
    work(shop.started("1.0"))
    put_rollout(shop.service, shop.environment, confirm_after=1)
    release = work(shop.started("2.0"))
    runbooks.put_procedure(actor=TESTS, name="other", text=DEPLOY.replace("name: deploy", "name: other"))
    put_rollout(shop.service, shop.environment, procedure="other", rollback_procedure="other")
    release = work(actions.roll_back(actor=shop.people[0], release=fresh(release), reason="wrong version"))
    assert (release.state, pieces(release)) == ("rolled_back", [["rolled_back", "skipped", "skipped"]])


def test_a_procedure_that_was_taken_out_of_use_is_not_run_any_more(shop: Shop) -> None:
    release = shop.agreed(shop.plan("2.0"))
    runbooks.retire_procedure(actor=TESTS, procedure=Procedure.objects.get(name="deploy"))
    release = work(actions.start(actor=shop.people[0], release=release))
    assert (release.state, release.outcome["code"], shop.installed()) == ("paused", "run_refused", [])


def test_one_that_was_planned_before_another_version_came_is_planned_anew(shop: Shop) -> None:
    """Its way back would take the service to a version that was there when it was planned."""
    work(shop.started("1.0"))
    early = shop.agreed(shop.plan("3.0"))
    work(shop.started("2.0"))
    with pytest.raises(Conflict) as refused:
        actions.start(actor=shop.people[0], release=early)
    assert [each["code"] for each in refused.value.extra["refusals"]] == ["moved_on"]
    again = shop.agreed(actions.replan(actor=shop.people[0], release=fresh(early)))
    shop.effects.answers["/install/shop-1/3.0"] = lambda handler, _request: reply(handler, 500)
    assert work(actions.start(actor=shop.people[0], release=again)).state == "rolled_back"
    assert shop.installed()[-1] == ("shop-1", "2.0")


def test_a_version_that_was_taken_back_before_since_it_was_planned_does_not_begin(shop: Shop) -> None:
    staging = setup.put_environment(actor=TESTS, name="staging", position=20)
    put_rollout(shop.service, staging, batches=("100%",))
    first, _new = artefacts.register(actor=TESTS, service=shop.service, told=Told("1.0"))
    second, _new = artefacts.register(actor=TESTS, service=shop.service, told=Told("2.0"))
    for version in (first, second):
        there = actions.create(actor=shop.people[0], environment=staging, artefacts=[version])
        work(actions.start(actor=shop.people[0], release=shop.agreed(there)))
    release = shop.agreed(shop.plan("2.0"))
    assert actions.refusals(release) == []
    Deployment.objects.filter(version="2.0", environment="staging").update(status="failed")
    assert [each["code"] for each in actions.refusals(release)] == ["never_there"]


def stood(shop: Shop) -> Rollout:
    """Consent stands to how it is rolled out now."""
    setup.put_environment(actor=TESTS, name="production", position=30, consent="standing")
    shop.environment.refresh_from_db()
    asked = setup.ask_standing(actor=shop.people[0], rollout=shop.rollout)
    approvals.approve(actor=shop.people[1], approval=asked.approval)
    jobs.run_due()
    return Rollout.objects.get()


def test_standing_consent_covers_no_release_that_was_planned_another_way(shop: Shop) -> None:
    stood(shop)
    put_rollout(shop.service, shop.environment, batches=("100%",), params={"version": "9.9"})
    release = shop.plan("2.0")
    put_rollout(shop.service, shop.environment)
    assert actions.ask(actor=shop.people[0], release=release).state == "authorize", "nobody agreed to this"


def test_standing_consent_names_who_gave_it_though_another_was_asked_since(shop: Shop) -> None:
    stood(shop)
    row = put_rollout(shop.service, shop.environment, batches=("100%",))
    setup.ask_standing(actor=shop.people[0], rollout=row)
    put_rollout(shop.service, shop.environment)
    release = actions.ask(actor=shop.people[0], release=shop.plan("2.0"))
    release = work(actions.start(actor=shop.people[0], release=release))
    assert release.state == "succeeded"
    derived = Approval.objects.filter(subject__startswith="runbooks.run:")
    assert {each.decided_by_name for each in derived} == {shop.people[1].name}


def test_an_environment_is_not_passed_over_with_standing_consent(shop: Shop) -> None:
    staging = setup.put_environment(actor=TESTS, name="staging", position=20)
    put_rollout(shop.service, staging)
    stood_by = Rollout.objects.get(environment=shop.environment)
    setup.put_environment(actor=TESTS, name="production", position=30, consent="standing")
    shop.environment.refresh_from_db()
    asked = setup.ask_standing(actor=shop.people[0], rollout=stood_by)
    approvals.approve(actor=shop.people[1], approval=asked.approval)
    jobs.run_due()
    release = shop.plan("2.0", skip_promotion="it is an emergency")
    assert actions.ask(actor=shop.people[0], release=release).state == "authorize", "nobody agreed to skipping"


def test_an_entry_of_the_catalogue_does_not_agree_to_a_release(shop: Shop) -> None:
    """What is the same every time was agreed on once; which release is carried out is not the same every time."""
    asks, agrees = shop.people
    entry = catalogue_actions.put_template(
        actor=asks, name="reboot", title="Reboot", kinds=[], max_resources=9, max_minutes=60,
        tasks=[TaskDraft("reboot")], backout="none is needed",
    )  # fmt: skip
    approvals.approve(actor=agrees, approval=catalogue_actions.ask_template(actor=asks, template=entry))
    jobs.run_due()
    change = actions.make_change(actor=asks, release=shop.plan("2.0"))
    now = timezone.now()
    draft = Draft(
        title=change.title, environment="production", kind="standard", template=entry.name,
        starts_at=now - timedelta(minutes=1), ends_at=now + timedelta(minutes=20), resources=[shop.service.pk],
    )  # fmt: skip
    with pytest.raises(Conflict) as refused:
        control.ask(actor=asks, change=control.edit(actor=asks, change=change, draft=draft))
    assert refused.value.code == "change.template_not_agreed"


def test_a_release_needs_whom_each_of_its_runs_would_need(shop: Shop) -> None:
    two = [{"who": "role:approver", "count": 2}]
    about = {"targets": ["shop-3"]}
    approval_policies.put_policy(actor=TESTS, name="two", action="runbooks.run", conditions=about, needs=two)
    release = actions.ask(actor=shop.people[0], release=shop.plan())
    assert release.approval is not None
    assert [each.count for each in release.approval.needs.all()] == [2]


def test_a_release_asks_who_owns_the_hosts_where_runs_ask_their_owners(shop: Shop) -> None:
    approval_policies.put_policy(actor=TESTS, name="owners", action="runbooks.run", needs=[{"who": "owner"}])
    theirs = people.create_team(actor=TESTS, name="theirs")
    Resource.objects.filter(name="shop-3").update(owner=theirs)
    release = actions.ask(actor=shop.people[0], release=shop.plan())
    assert release.approval is not None
    assert theirs.pk in {each.team_id for each in release.approval.needs.all()}

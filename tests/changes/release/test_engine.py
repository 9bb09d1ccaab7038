"""Releases, from the plan to the end, with real runs against a server that counts what arrives."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.changes.release.conftest import Shop, fresh, make_host, make_service, pieces, put_rollout, work
from tests.changes.test_control import GOOD
from tests.runbooks.conftest import TESTS, reply
from tongchou.changes import control, control_work
from tongchou.changes.draft import Draft
from tongchou.changes.models import Deployment
from tongchou.changes.release import actions, artefacts, engine, reads, setup
from tongchou.changes.release.artefacts import Told
from tongchou.core import approvals, jobs
from tongchou.core.models import Event
from tongchou.core.problems import Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.inventory import actions as inventory
from tongchou.runbooks import actions as runbooks
from tongchou.runbooks.models import Run

BROKEN = {"query": 'errors{service="${service}"}', "is": "< 1", "says": "errors"}
ASKED = 'errors{service="shop"}'
HOSTS = [f"shop-{n}" for n in range(1, 6)]


def verbs(release):
    return list(Event.objects.filter(subject=ref(release)).order_by("at", "id").values_list("verb", flat=True))


def test_batches_are_done_one_after_the_other_and_it_is_told_as_a_deployment(shop: Shop) -> None:
    release = work(shop.started())
    assert (release.state, pieces(release)) == ("succeeded", [["done", "done", "done"]])
    assert shop.installed() == [(host, "2.0") for host in HOSTS]
    (deployment,) = Deployment.objects.all()
    assert (deployment.service, deployment.version, deployment.status) == (shop.service, "2.0", "succeeded")
    assert (deployment.environment, deployment.source) == ("production", "tongchou")
    runs = Run.objects.filter(about_ref=ref(release)).order_by("created_at")
    assert [[each["name"] for each in run.targets] for run in runs] == [HOSTS[:1], HOSTS[1:3], HOSTS[3:]]
    assert verbs(release)[-1] == "release.succeeded"
    assert reads.installed(shop.service, shop.environment) == deployment


def test_a_second_look_does_nothing_twice(shop: Shop) -> None:
    release = shop.started()
    engine.advance(release.pk)
    assert engine.advance(release.pk) == 0, "the run of the first batch is under way"
    assert Run.objects.filter(about_ref=ref(release)).count() == 1


def test_it_goes_back_by_itself_when_a_check_says_no(shop: Shop) -> None:
    work(shop.started("1.0"))
    put_rollout(shop.service, shop.environment, batches=(1, 2), checks=[BROKEN])
    shop.metrics.said[ASKED] = [0.0]
    release = shop.started("2.0")
    shop.effects.answers["/ready/shop-3"] = lambda handler, _request: (
        shop.metrics.said.update({ASKED: [7.0]}),
        reply(handler, 200),
    )
    release = work(release)
    assert (release.state, release.outcome["code"]) == ("rolled_back", "check_no")
    assert pieces(release) == [["rolled_back", "rolled_back", "skipped"]]
    assert shop.installed()[5:] == [
        ("shop-1", "2.0"), ("shop-2", "2.0"), ("shop-3", "2.0"),
        ("shop-2", "1.0"), ("shop-3", "1.0"), ("shop-1", "1.0"),
    ]  # fmt: skip
    told = Deployment.objects.order_by("started_at").values_list("version", "status", "rollback")
    assert list(told) == [("1.0", "succeeded", False), ("2.0", "failed", False), ("1.0", "succeeded", True)]


def test_it_goes_back_when_a_run_fails(shop: Shop) -> None:
    work(shop.started("1.0"))
    shop.effects.answers["/install/shop-2/2.0"] = lambda handler, _request: reply(handler, 500)
    release = work(shop.started("2.0"))
    assert (release.state, release.outcome["code"]) == ("rolled_back", "run_failed")
    assert pieces(release) == [["rolled_back", "rolled_back", "skipped"]]
    assert dict(shop.installed()) == dict.fromkeys(HOSTS, "1.0")


def test_the_run_that_failed_is_not_tried_again_without_consent(shop: Shop) -> None:
    """The release went back, or begins the batch anew with another run: the old one would install the version again."""
    work(shop.started("1.0"))
    shop.effects.answers["/install/shop-2/2.0"] = lambda handler, _request: reply(handler, 500)
    release = work(shop.started("2.0"))
    run = Run.objects.get(about_ref=ref(release), state="failed")
    assert runbooks.retry(actor=shop.people[0], run=run).state == "awaiting_approval"
    del shop.effects.answers["/install/shop-2/2.0"]
    work(release)
    assert dict(shop.installed()) == dict.fromkeys(HOSTS, "1.0")


def test_without_a_version_before_there_is_no_way_back_and_it_pauses(shop: Shop) -> None:
    shop.effects.answers["/install/shop-1/2.0"] = lambda handler, _request: reply(handler, 500)
    release = work(shop.started("2.0"))
    assert (release.state, release.outcome["code"]) == ("paused", "no_way_back")
    with pytest.raises(Conflict) as refused:
        actions.roll_back(actor=shop.people[0], release=release, reason="it is broken")
    assert refused.value.code == "release.no_way_back"
    del shop.effects.answers["/install/shop-1/2.0"]
    release = work(actions.resume(actor=shop.people[0], release=release))
    assert (release.state, pieces(release)) == ("succeeded", [["done", "done", "done"]])


def test_a_person_is_asked_after_the_canary_where_that_is_wanted(shop: Shop) -> None:
    put_rollout(shop.service, shop.environment, confirm_after=1)
    release = work(shop.started())
    assert (release.state, release.outcome["code"]) == ("paused", "confirm")
    assert shop.installed() == [("shop-1", "2.0")]
    release = work(actions.resume(actor=shop.people[0], release=release))
    assert release.state == "succeeded"


def test_checks_without_an_answer_pause_it_at_the_end_of_the_watch(shop: Shop) -> None:
    put_rollout(shop.service, shop.environment, checks=[BROKEN])
    release = work(shop.started())
    assert (release.state, release.outcome["code"]) == ("paused", "check_unknown")
    shop.metrics.said[ASKED] = [0.0]
    assert work(actions.resume(actor=shop.people[0], release=release)).state == "succeeded"


def test_what_is_broken_already_is_not_released_into(shop: Shop) -> None:
    put_rollout(shop.service, shop.environment, checks=[BROKEN])
    shop.metrics.said[ASKED] = [9.0]
    release = shop.agreed(shop.plan())
    with pytest.raises(Conflict) as refused:
        actions.start(actor=shop.people[0], release=release)
    assert [each["code"] for each in refused.value.extra["refusals"]] == ["check_no"]


def test_nothing_is_done_that_was_not_agreed_on(shop: Shop) -> None:
    release = shop.plan()
    with pytest.raises(Conflict) as refused:
        actions.start(actor=shop.people[0], release=release)
    assert {each["code"] for each in refused.value.extra["refusals"]} == {"state", "not_agreed"}
    release = shop.started()
    runbooks.put_procedure(
        actor=TESTS, name="deploy", text=runbooks.Procedure.objects.get(name="deploy").text + "\n# other words\n"
    )
    text = runbooks.Procedure.objects.get(name="deploy").text.replace("/ready/", "/destroy/")
    runbooks.put_procedure(actor=TESTS, name="deploy", text=text)
    release = work(release)
    assert (release.state, release.outcome["code"]) == ("paused", "run_refused")
    assert shop.installed() == []


def test_a_hold_that_is_placed_meanwhile_pauses_it(shop: Shop) -> None:
    put_rollout(shop.service, shop.environment, confirm_after=1)
    release = work(shop.started())
    actions.resume(actor=shop.people[0], release=release)
    inventory.place_hold(actor=TESTS, resource=shop.service, kind="deployment", reason="an incident", opened_by="tests")
    release = work(release)
    assert (release.state, release.outcome["code"]) == ("paused", "gate")
    assert shop.installed() == [("shop-1", "2.0")]


def test_a_train_goes_service_by_service_and_back_together(shop: Shop) -> None:
    other = make_service("pay", 2, shop.effects.url)
    put_rollout(other, shop.environment)
    artefact = {}
    for service, version in ((shop.service, "1.0"), (other, "1.0"), (shop.service, "2.0"), (other, "2.0")):
        artefact[service.name, version], _new = artefacts.register(actor=TESTS, service=service, told=Told(version))
    first = actions.create(
        actor=shop.people[0],
        environment=shop.environment,
        artefacts=[artefact["pay", "1.0"], artefact["shop", "1.0"]],
    )
    assert work(actions.start(actor=shop.people[0], release=shop.agreed(first))).state == "succeeded"
    shop.effects.answers["/install/shop-1/2.0"] = lambda handler, _request: reply(handler, 500)
    second = actions.create(
        actor=shop.people[0],
        environment=shop.environment,
        artefacts=[artefact["pay", "2.0"], artefact["shop", "2.0"]],
    )
    release = work(actions.start(actor=shop.people[0], release=shop.agreed(second)))
    assert release.state == "rolled_back"
    assert pieces(release) == [["rolled_back", "rolled_back"], ["rolled_back", "skipped", "skipped"]]
    assert dict(shop.installed()) == dict.fromkeys([*HOSTS, "pay-1", "pay-2"], "1.0")


def test_a_version_passes_the_environment_before(shop: Shop) -> None:
    staging = setup.put_environment(actor=TESTS, name="staging", position=20)
    put_rollout(shop.service, staging, batches=("100%",))
    artefact, _new = artefacts.register(actor=TESTS, service=shop.service, told=Told("3.0"))

    def create(environment, **more):
        return actions.create(actor=shop.people[0], environment=environment, artefacts=[artefact], **more)

    with pytest.raises(Conflict) as refused:
        create(shop.environment)
    assert [each["code"] for each in refused.value.extra["problems"]] == ["never_there"]
    skipping = create(shop.environment, skip_promotion="it is an emergency")
    asked = actions.ask(actor=shop.people[0], release=skipping)
    assert asked.approval.scope["passed_over"] == "it is an emergency", "who agrees is not told"
    work(actions.start(actor=shop.people[0], release=shop.agreed(create(staging))))
    assert create(shop.environment).state == "draft"
    setup.put_environment(actor=TESTS, name="production", position=30, soak_seconds=3600)
    with pytest.raises(Conflict) as refused:
        create(fresh_environment(shop))
    assert [each["code"] for each in refused.value.extra["problems"]] == ["soaking"]
    artefacts.withdraw(actor=TESTS, artefact=artefact, reason="it loses orders")
    artefact.refresh_from_db()
    with pytest.raises(Conflict) as refused:
        create(staging)
    assert [each["code"] for each in refused.value.extra["problems"]] == ["withdrawn"]


def fresh_environment(shop: Shop):
    shop.environment.refresh_from_db()
    return shop.environment


def test_one_version_means_one_thing(shop: Shop) -> None:
    first, new = artefacts.register(actor=TESTS, service=shop.service, told=Told("9", digest="a" * 64))
    again, newer = artefacts.register(actor=TESTS, service=shop.service, told=Told("9", commit_sha="c0ffee"))
    assert (first.pk, new, newer, again.commit_sha) == (again.pk, True, False, "c0ffee")
    with pytest.raises(Conflict) as refused:
        artefacts.register(actor=TESTS, service=shop.service, told=Told("9", digest="sha256:" + "b" * 64))
    assert refused.value.code == "artefact.digest"
    with pytest.raises(Invalid):
        artefacts.register(actor=TESTS, service=shop.service, told=Told("9", digest="nonsense"))


def test_standing_consent_is_to_how_it_is_rolled_out(shop: Shop) -> None:
    setup.put_environment(actor=TESTS, name="production", position=30, consent="standing")
    fresh_environment(shop)
    asked = setup.ask_standing(actor=shop.people[0], rollout=shop.rollout)
    approvals.approve(actor=shop.people[1], approval=asked.approval)
    jobs.run_due()
    release = actions.ask(actor=shop.people[0], release=shop.plan("2.0"))
    assert release.state == "ready"
    assert work(actions.start(actor=shop.people[0], release=release)).state == "succeeded"
    put_rollout(shop.service, shop.environment, batches=("100%",))
    assert actions.ask(actor=shop.people[0], release=shop.plan("3.0")).state == "authorize"


def test_taking_it_back_by_hand_stops_the_run_under_way(shop: Shop) -> None:
    work(shop.started("1.0"))
    release = shop.started("2.0")
    engine.advance(release.pk)
    actions.roll_back(actor=shop.people[0], release=fresh(release), reason="wrong version")
    release = work(release)
    assert (release.state, release.outcome["code"]) == ("rolled_back", "by_person")
    assert pieces(release) == [["rolled_back", "skipped", "skipped"]]
    assert shop.installed()[5:] == [("shop-1", "1.0")], "the run was stopped before it did anything"


def test_what_is_being_done_is_not_overtaken_by_the_way_back(shop: Shop) -> None:
    """A run that is cancelled in the middle of a step still does that step: the version before waits for its end."""
    work(shop.started("1.0"))
    release = shop.started("2.0")
    engine.advance(release.pk)
    run = Run.objects.get(about_ref=ref(release))
    run.steps.filter(name="install").update(state="started", started_at=timezone.now())
    actions.roll_back(actor=shop.people[0], release=fresh(release), reason="wrong version")
    assert run.steps.filter(state="started").exists(), "the run was torn off"
    assert engine.advance(release.pk) == 0, "the way back began beside it"
    run.steps.filter(name="install").update(state="succeeded")
    release = work(release)
    assert (release.state, pieces(release)) == ("rolled_back", [["rolled_back", "skipped", "skipped"]])


def test_the_way_back_does_not_wait_for_a_step_whose_process_died(shop: Shop) -> None:
    work(shop.started("1.0"))
    release = shop.started("2.0")
    engine.advance(release.pk)
    run = Run.objects.get(about_ref=ref(release))
    long_ago = timezone.now() - timedelta(minutes=5)
    run.steps.filter(name="install").update(state="started", started_at=long_ago)
    actions.roll_back(actor=shop.people[0], release=fresh(release), reason="wrong version")
    assert work(release).state == "rolled_back"


def test_one_that_is_left_as_it_is_ends_its_deployment_as_failed(shop: Shop) -> None:
    put_rollout(shop.service, shop.environment, on_failure="pause")
    shop.effects.answers["/install/shop-2/2.0"] = lambda handler, _request: reply(handler, 500)
    release = work(shop.started("2.0"))
    assert (release.state, release.outcome["code"]) == ("paused", "run_failed")
    release = actions.leave(actor=shop.people[0], release=release, reason="mended by hand")
    assert (release.state, pieces(release)) == ("failed", [["done", "left", "skipped"]])
    assert [each.status for each in Deployment.objects.all()] == ["failed"]


def test_a_change_carries_a_release_out_and_says_when(shop: Shop) -> None:
    now = timezone.now()
    release = shop.plan("2.0")
    change = actions.make_change(actor=shop.people[0], release=release)
    assert actions.make_change(actor=shop.people[0], release=fresh(release)) == change
    draft = Draft(
        title=change.title,
        environment="production",
        starts_at=now - timedelta(minutes=1),
        ends_at=now + timedelta(hours=1),
        resources=[shop.service.pk],
        backout="it goes back by itself",
        verification="every batch is watched",
        answers=GOOD,
    )
    change = control.edit(actor=shop.people[0], change=change, draft=draft)
    change = control.ask(actor=shop.people[0], change=change)
    with pytest.raises(Conflict) as refused:
        actions.start(actor=shop.people[0], release=fresh(release))
    assert [each["code"] for each in refused.value.extra["refusals"]] == ["not_agreed"]
    approvals.approve(actor=shop.people[1], approval=change.approval)
    jobs.run_due()
    control_work.begin(actor=shop.people[0], change=change)
    release = work(actions.start(actor=shop.people[0], release=fresh(release)))
    assert release.state == "succeeded"
    approval = Run.objects.filter(about_ref=ref(release)).first().approval
    assert (approval.decided_by_name, approval.comment) == (shop.people[1].name, change.name)


def test_planned_anew_it_is_agreed_on_anew(shop: Shop) -> None:
    release = shop.agreed(shop.plan("2.0"))
    assert release.state == "ready"
    assert actions.replan(actor=shop.people[0], release=release).state == "ready", "nothing differs"
    make_host(shop, "shop-6")
    again = actions.replan(actor=shop.people[0], release=release)
    assert (again.state, again.content_hash != release.content_hash) == ("draft", True)
    with pytest.raises(Conflict):
        actions.start(actor=shop.people[0], release=release)
    work(actions.start(actor=shop.people[0], release=shop.agreed(again)))
    assert dict(shop.installed())["shop-6"] == "2.0"

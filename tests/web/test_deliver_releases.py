"""The pages of releases: which version is where, the list, one from its plan to its end, and who may do what."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from tests.changes.release.conftest import (  # noqa: F401  # fixtures
    Shop,
    _loopback,
    _no_store,
    effects,
    fresh,
    metrics,
    put_rollout,
    shop,
    work,
)
from tests.runbooks.conftest import reply
from tests.web.foreign import member_of
from tongchou.changes.models_release import Environment, Release
from tongchou.changes.release import actions, artefacts, setup
from tongchou.changes.release.artefacts import Told
from tongchou.core import approvals, jobs, people, settings_store
from tongchou.core.access import Actor, system
from tongchou.core.models import Approval, Role
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource

pytestmark = pytest.mark.django_db
TESTS = system("tests")
LIST = 55  # queries of the list with its grid, however many releases there are
PAGE = 45  # of one release, however many batches and runs it has


def page_of(release: Release) -> str:
    return reverse("web:release", args=[release.number])


def act(release: Release, name: str) -> str:
    return reverse("web:release-act", args=[release.number, name])


def staging(shop: Shop) -> Environment:  # noqa: F811  # the fixture
    """An environment before production, with the shop rolled out in it."""
    made = setup.put_environment(actor=TESTS, name="staging", position=20)
    put_rollout(shop.service, made)
    return made


def test_empty_it_says_what_to_set_up_first_in_both_languages(browser: Any) -> None:
    page = browser(Role.OPERATOR).get(reverse("web:releases")).content.decode()
    assert "Before the first release" in page
    for name in ("release-environments", "release-rollouts", "release-versions"):
        assert reverse(f"web:{name}") in page
    assert reverse("web:release-new") not in page
    assert (
        "Before the first release" not in browser(Role.VIEWER, "zh-hans").get(reverse("web:releases")).content.decode()
    )


def test_the_grid_says_what_is_where_what_is_behind_and_takes_it_on(browser: Any, shop: Shop) -> None:  # noqa: F811
    before = staging(shop)
    artefact, _new = artefacts.register(actor=shop.people[0], service=shop.service, told=Told("1.0"))
    release = actions.create(actor=shop.people[0], environment=before, artefacts=[artefact])
    work(actions.start(actor=shop.people[0], release=shop.agreed(release)))
    person = browser(Role.OPERATOR)
    page = person.get(reverse("web:release-where")).content.decode()
    onward = f"{reverse('web:release-new')}?environment=production&amp;service={shop.service.pk}&amp;version=1.0"
    assert onward in page
    assert f'href="{page_of(release)}"' in page
    assert "never deployed" in page
    assert "behind" not in page
    artefacts.register(actor=shop.people[0], service=shop.service, told=Told("1.1"))
    page = person.get(reverse("web:releases")).content.decode()
    assert "behind" in page
    assert f"environment=staging&amp;service={shop.service.pk}&amp;version=1.1" in page
    seen = browser(Role.VIEWER).get(reverse("web:releases")).content.decode()
    assert "behind" in seen
    assert reverse("web:release-new") not in seen


def test_the_list_and_the_page_ask_so_many_times_and_no_more(
    browser: Any,
    shop: Shop,  # noqa: F811
    django_assert_max_num_queries: Any,
) -> None:
    work(shop.started("1.0"))
    staging(shop)
    shop.environment = setup.put_environment(actor=TESTS, name="production", position=30, needs_previous=False)
    put_rollout(shop.service, shop.environment, batches=(1,))
    last = work(shop.started("2.0"))
    person = browser(Role.OPERATOR)
    person.get(reverse("web:releases"))
    with django_assert_max_num_queries(LIST):
        listed = person.get(reverse("web:releases"), {"queue": "all"}).content.decode()
    assert "REL-1" in listed
    assert "REL-2" in listed
    with django_assert_max_num_queries(PAGE):
        page = person.get(page_of(last)).content.decode()
    assert page.count('data-state="done"') == 5


def test_a_release_is_asked_for_agreed_on_and_started_on_its_page(browser: Any, shop: Shop) -> None:  # noqa: F811
    release = shop.plan()
    person = browser(Role.OPERATOR)
    assert "Ask for consent" in person.get(page_of(release)).content.decode()
    assert person.post(act(release, "start")).status_code == 409
    assert person.post(act(release, "ask"), {"reason": "the new basket"}).status_code == 302
    approval = Approval.objects.get()
    assert approval.reason == "the new basket"
    page = person.get(page_of(release)).content.decode()
    assert f"{reverse('web:approvals')}?id={approval.pk}" in page
    request = browser(Role.APPROVER).get(f"{reverse('web:approvals')}?id={approval.pk}").content.decode()
    assert page_of(release) in request
    assert release.name in request
    assert "shop" in request
    assert ref(shop.service) not in request, "people read names"
    approvals.approve(actor=shop.people[1], approval=approval)
    jobs.run_due()
    before = person.get(page_of(release) + "?part=before").content.decode()
    assert "Nothing speaks against" in before
    settings_store.put(actor=TESTS, key="execution.enabled", value=False)
    assert "execution.enabled" in person.get(page_of(release) + "?part=before").content.decode()
    refused = person.post(act(release, "start"))
    assert refused.status_code == 409
    assert "execution.enabled" in refused.content.decode()
    settings_store.put(actor=TESTS, key="execution.enabled", value=True)
    assert person.post(act(release, "start")).status_code == 302
    live = person.get(page_of(release) + "?part=live").content.decode()
    assert 'hx-trigger="every 2s"' in live
    work(release)
    done = person.get(page_of(release) + "?part=live").content.decode()
    assert done.count('data-state="done"') == 3
    assert "every 2s" not in done
    assert done.count("/runs/") >= 3
    assert "shop-5" in done
    chinese = browser(Role.VIEWER, "zh-hans").get(page_of(release)).content.decode()
    assert "Batch" not in chinese


def test_a_pause_says_why_and_what_going_on_does(browser: Any, shop: Shop) -> None:  # noqa: F811
    put_rollout(shop.service, shop.environment, on_failure="pause")
    shop.effects.answers["/install/shop-1/2.0"] = lambda handler, _request: reply(handler, 500)
    release = work(shop.started())
    person = browser(Role.OPERATOR)
    page = person.get(page_of(release)).content.decode()
    assert "Try the failed batch again" in page
    assert "There is no way back for shop" in page
    assert person.post(act(release, "roll-back"), {"reason": "x"}).status_code == 409
    assert person.post(act(release, "leave"), {"reason": " "}).status_code == 422
    shop.effects.answers.clear()
    assert person.post(act(release, "resume")).status_code == 302
    assert work(fresh(release)).state == "succeeded"


def test_a_person_says_go_on_or_takes_it_back_with_a_reason(browser: Any, shop: Shop) -> None:  # noqa: F811
    work(shop.started("1.0"))
    put_rollout(shop.service, shop.environment, confirm_after=1)
    release = work(shop.started("2.0"))
    person = browser(Role.OPERATOR)
    page = person.get(page_of(release)).content.decode()
    assert "Go on with the next batches" in page
    assert "Roll back 1 batch" in page
    assert person.post(act(release, "roll-back"), {"reason": "<b>slow</b>"}).status_code == 302
    work(release)
    page = person.get(page_of(release)).content.decode()
    assert fresh(release).state == "rolled_back"
    assert "&lt;b&gt;slow" in page
    assert "<b>slow" not in page


def test_a_pause_by_a_person_reads_as_a_sentence(browser: Any, shop: Shop) -> None:  # noqa: F811
    release = shop.started()
    person = browser(Role.OPERATOR)
    assert person.post(act(release, "pause")).status_code == 302
    page = person.get(page_of(release)).content.decode()
    assert f"By {person.user.username}." in page
    assert f"{person.user.username}: <" not in page
    assert 'id="do-resume"' in page


def test_what_has_not_begun_is_planned_anew_carried_by_a_change_or_withdrawn(browser: Any, shop: Shop) -> None:  # noqa: F811
    release = shop.plan()
    person = browser(Role.OPERATOR)
    assert person.post(act(release, "replan")).status_code == 302
    put_rollout(shop.service, shop.environment, batches=(5,))
    assert person.post(act(release, "replan")).status_code == 302
    assert person.get(page_of(release)).content.decode().count('id="batch-') == 1
    assert person.post(act(release, "change")).status_code == 302
    assert fresh(release).change is not None
    assert reverse("web:change", args=[fresh(release).change.number]) in person.get(page_of(release)).content.decode()
    assert person.post(act(release, "cancel"), {"reason": "not today"}).status_code == 302
    assert fresh(release).state == "cancelled"
    assert person.post(act(release, "explode")).status_code == 404


def test_planned_anew_with_everything_against_it_told(browser: Any, shop: Shop) -> None:  # noqa: F811
    release = shop.plan()
    item = release.items.select_related("artefact__service").get()
    artefacts.withdraw(actor=shop.people[0], artefact=item.artefact, reason="it loses baskets")
    refused = browser(Role.OPERATOR).post(act(release, "replan"))
    assert refused.status_code == 409
    assert "it loses baskets" in refused.content.decode()


def test_a_viewer_reads_and_another_team_knows_nothing(browser: Any, shop: Shop) -> None:  # noqa: F811
    release = shop.plan()
    viewer = browser(Role.VIEWER)
    page = viewer.get(page_of(release)).content.decode()
    assert "do-ask" not in page
    assert viewer.post(act(release, "ask")).status_code == 403
    mine = people.create_team(actor=TESTS, name="mine")
    theirs = people.create_team(actor=TESTS, name="theirs")
    Resource.objects.filter(pk=shop.service.pk).update(owner=theirs)
    stranger = browser(member_of(mine, Role.OPERATOR, "stranger"))
    assert stranger.get(page_of(release)).status_code == 404
    assert stranger.post(act(release, "ask")).status_code == 404
    assert shop.service.name not in stranger.get(reverse("web:releases")).content.decode()
    assert shop.service.name not in stranger.get(reverse("web:release-where")).content.decode()
    owner = browser(member_of(theirs, Role.OPERATOR, "owner"))
    assert owner.get(page_of(release)).status_code == 200
    assert owner.post(act(release, "ask")).status_code == 302


def test_the_page_of_a_service_says_where_its_versions_are(browser: Any, shop: Shop, admin_actor: Actor) -> None:  # noqa: F811
    release = work(shop.started("1.0"))
    page = browser(Role.VIEWER).get(reverse("web:resource", args=[shop.service.pk])).content.decode()
    assert 'id="versions"' in page
    assert page_of(release) in page
    host = Resource.objects.get(name="shop-1")
    assert 'id="versions"' not in browser(Role.VIEWER).get(reverse("web:resource", args=[host.pk])).content.decode()

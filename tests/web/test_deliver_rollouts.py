"""The pages of rollouts: the list, one, its form with errors at the field, what it would find, standing consent."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from tests.changes.release.conftest import (  # noqa: F401  # fixtures
    Shop,
    _loopback,
    _no_store,
    effects,
    make_service,
    metrics,
    put_rollout,
    shop,
)
from tests.web.foreign import member_of
from tongchou.changes.models_release import Rollout
from tongchou.changes.release import setup
from tongchou.core import approvals, jobs, people
from tongchou.core.access import Actor, system
from tongchou.core.models import Approval, Role
from tongchou.inventory.models import Resource

pytestmark = pytest.mark.django_db
TESTS = system("tests")
NEW, LIST, PREVIEW = "web:release-rollout-new", "web:release-rollouts", "web:release-rollout-preview"
QUERIES = 20  # of the list, however many rollouts there are
FORM = {
    "service": "basket", "environment": "production", "procedure": "deploy", "params": "version: ${version}",
    "from": "service", "kind": "", "labels": "", "names": "", "batches": "1, 50%", "bake_seconds": "30",
    "confirm_after": "1", "on_failure": "rollback", "rollback_procedure": "", "rollback_params": "",
    "check-0-query": 'errors{service="${service}"}', "check-0-is": "< 1", "check-0-says": "errors",
    "check-0-objective": "", "check-0-always": "on", "check-1-query": "", "check-1-is": "", "check-1-says": "",
    "check-1-objective": "checkout-availability",
}  # fmt: skip


@pytest.fixture
def basket(shop: Shop) -> Resource:  # noqa: F811  # the fixture
    """A second service of three hosts, not rolled out anywhere."""
    return make_service("basket", 3, shop.effects.url)


def page_of(row: Rollout) -> str:
    return reverse("web:release-rollout", args=[row.pk])


def act(row: Rollout, name: str) -> str:
    return reverse("web:release-rollout-act", args=[row.pk, name])


def test_an_empty_list_says_what_comes_first(browser: Any) -> None:
    person = browser(Role.OPERATOR)
    assert "Name an environment first" in person.get(reverse(LIST)).content.decode()
    setup.put_environment(actor=TESTS, name="production")
    assert reverse(NEW) in person.get(reverse(LIST)).content.decode()
    assert reverse(NEW) not in browser(Role.VIEWER).get(reverse(LIST)).content.decode()


def test_a_form_says_all_of_it_and_shows_it_again(browser: Any, basket: Resource) -> None:
    person = browser(Role.OPERATOR)
    answer = person.post(reverse(NEW), FORM)
    row = Rollout.objects.get(service=basket)
    assert answer["Location"] == page_of(row)
    assert (row.batches, row.bake_seconds, row.confirm_after) == ([1, "50%"], 30, 1)
    assert row.checks == [
        {"query": 'errors{service="${service}"}', "is": "< 1", "says": "errors", "always": True},
        {"objective": "checkout-availability"},
    ]
    edit = reverse("web:release-rollout-edit", args=[row.pk])
    page = person.get(edit).content.decode()
    for text in ("checkout-availability", "1, 50%", "version: ${version}", "service/basket"):
        assert text in page
    again = {**FORM, "service": "service/basket"}
    assert person.post(edit, again).status_code == 302
    row.refresh_from_db()
    assert row.version_number == 1, "the same again changes nothing"
    shown = person.get(page_of(row)).content.decode()
    assert "3 targets now" in shown
    assert "each release asks" in shown


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("service", "nobody", "service"),
        ("procedure", "nothing", "procedure"),
        ("params", "- a", "params"),
        ("params", "version: ${veersion}", "params"),
        ("batches", "none", "batches"),
        ("bake_seconds", "soon", "bake_seconds"),
        ("confirm_after", "-1", "confirm_after"),
        ("rollback_procedure", "nothing", "rollback_procedure"),
        ("rollback_params", "{", "rollback_params"),
        ("check-0-query", "sum(", "check-0-query"),
        ("check-0-is", "fine", "check-0-is"),
        ("check-1-query", "up", "check-1-objective"),
        ("params", 'version: "\\0"', "params"),
        ("params", '"\\0": 1', "params"),
        ("params", 'version: "\\ud800"', "params"),
        ("params", "version: .nan", "params"),
        ("params", "version: -.inf", "params"),
        ("params", "version: " + "[" * 1200, "params"),
        ("params", "version: " + "[" * 60 + "]" * 60, "params"),
        ("params", "one: &one [1, 2]\nversion: *one", "params"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_the_rest_stays(
    browser: Any, basket: Resource, name: str, value: str, place: str
) -> None:
    answer = browser(Role.OPERATOR).post(reverse(NEW), {**FORM, name: value})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert not Rollout.objects.filter(service=basket).exists()
    at = page.index(f'name="{place}"')
    assert 'class="error"' in page[at : at + 2600]
    assert 'value="errors"' in page
    if name == "check-1-query":
        assert page.index("rollout-check wrong") > page.index('name="check-0-query"')


def test_targets_by_names_and_by_selector(browser: Any, basket: Resource) -> None:
    person = browser(Role.OPERATOR)
    assert person.post(reverse(NEW), {**FORM, "from": "selector"}).status_code == 422
    assert person.post(reverse(NEW), {**FORM, "from": "selector", "labels": "role"}).status_code == 422
    assert person.post(reverse(NEW), {**FORM, "from": "names"}).status_code == 422
    by_label = {**FORM, "from": "selector", "kind": "host", "labels": "role=web\n"}
    assert person.post(reverse(NEW), by_label).status_code == 302
    row = Rollout.objects.get(service=basket)
    assert row.targets == {"from": "selector", "kind": "host", "labels": {"role": "web"}}
    edit = reverse("web:release-rollout-edit", args=[row.pk])
    named = {**FORM, "from": "names", "names": "basket-1\n basket-3 \n"}
    assert person.post(edit, named).status_code == 302
    row.refresh_from_db()
    assert row.targets == {"from": "names", "names": ["basket-1", "basket-3"]}


def test_the_preview_says_what_it_would_find_in_batches_and_what_is_missing(browser: Any, basket: Resource) -> None:
    person = browser(Role.OPERATOR)
    seen = person.post(reverse(PREVIEW), FORM).content.decode()
    assert "3 targets now" in seen
    assert 'aria-label="1, 2"' in seen
    assert "basket-2" in seen
    assert "given" in seen
    seen = person.post(reverse(PREVIEW), {**FORM, "params": "wrong: 1"}).content.decode()
    assert "wanted and not given" in seen
    assert "does not take it" in seen
    for wrong in ({"from": "names", "names": "nobody"}, {"batches": "x"}, {"procedure": ""}, {"environment": "no"}):
        answer = person.post(reverse(PREVIEW), {**FORM, **wrong})
        assert answer.status_code == 200
        assert "3 targets now" not in answer.content.decode()
    assert Rollout.objects.count() == 1


def test_the_preview_does_not_name_what_one_may_not_see(browser: Any, basket: Resource) -> None:
    mine = people.create_team(actor=TESTS, name="mine")
    theirs = people.create_team(actor=TESTS, name="theirs")
    Resource.objects.filter(name__in=["basket", "basket-1"]).update(owner=mine)
    Resource.objects.filter(name__in=["basket-2", "basket-3"]).update(owner=theirs)
    member = browser(member_of(mine, Role.OPERATOR))
    seen = member.post(reverse(PREVIEW), {**FORM, "from": "selector", "kind": "host"}).content.decode()
    assert "basket-1" in seen
    assert "basket-2" not in seen
    assert "belong to others" in seen
    Resource.objects.filter(name="basket").update(owner=theirs)
    assert "3 targets" not in member.post(reverse(PREVIEW), FORM).content.decode()


def test_standing_consent_is_asked_for_given_and_lost_by_a_change(
    browser: Any,
    shop: Shop,  # noqa: F811
    approver_actor: Actor,
) -> None:
    setup.put_environment(actor=TESTS, name="production", position=30, consent="standing")
    row, person = shop.rollout, browser(Role.OPERATOR)
    assert "not agreed" in person.get(reverse(LIST)).content.decode()
    assert person.post(act(row, "ask")).status_code == 302
    approval = Approval.objects.get()
    assert f"?id={approval.pk}" in person.get(page_of(row)).content.decode()
    inbox = browser(Role.APPROVER).get(f"{reverse('web:approvals')}?id={approval.pk}").content.decode()
    assert page_of(row) in inbox
    approvals.approve(actor=approver_actor, approval=approval)
    jobs.run_due()
    assert "agreed" in person.get(reverse(LIST)).content.decode()
    release = shop.plan()
    ready = person.get(reverse("web:release", args=[release.number])).content.decode()
    assert "nobody needs to be asked" in ready
    put_rollout(shop.service, shop.environment, batches=(5,))
    assert "changed since" in person.get(page_of(row)).content.decode()


def test_one_is_taken_out_of_use_and_a_viewer_changes_nothing(browser: Any, shop: Shop) -> None:  # noqa: F811
    row, viewer = shop.rollout, browser(Role.VIEWER)
    assert viewer.get(page_of(row)).status_code == 200
    for address in (act(row, "retire"), act(row, "ask"), reverse(NEW), reverse(PREVIEW)):
        assert viewer.post(address).status_code == 403
    theirs = people.create_team(actor=TESTS, name="theirs")
    mine = people.create_team(actor=TESTS, name="mine")
    Resource.objects.filter(pk=shop.service.pk).update(owner=theirs)
    stranger = browser(member_of(mine, Role.OPERATOR))
    for address in (page_of(row), reverse("web:release-rollout-edit", args=[row.pk])):
        assert stranger.get(address).status_code == 404
    assert stranger.post(act(row, "retire")).status_code == 404
    person = browser(Role.OPERATOR)
    assert person.post(act(row, "explode")).status_code == 404
    assert person.post(act(row, "retire")).status_code == 302
    assert page_of(row) not in person.get(reverse(LIST)).content.decode()
    assert "Out of use" in person.get(page_of(row)).content.decode()


def test_the_list_asks_so_many_times_and_no_more(
    browser: Any,
    shop: Shop,  # noqa: F811
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(6):
        put_rollout(make_service(f"other-{number}", 1, shop.effects.url), shop.environment)
    person = browser(Role.OPERATOR, "zh-hans")
    person.get(reverse(LIST))
    with django_assert_max_num_queries(QUERIES):
        page = person.get(reverse(LIST)).content.decode()
    assert "other-5" in page
    assert "Batches" not in page
    narrow = person.get(reverse(LIST), {"q": "other-3", "environment": "production"}).content.decode()
    assert "other-3" in narrow
    assert "other-4" not in narrow

"""The form of a release: what it offers and suggests, what it makes, and every reason why it is refused."""

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
    work,
)
from tests.web.foreign import member_of
from tongchou.changes.models_release import Artefact, Release
from tongchou.changes.release import actions, artefacts, setup
from tongchou.changes.release.artefacts import Told
from tongchou.core import people
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.inventory.models import Resource
from tongchou.web import deliver_release_form

pytestmark = pytest.mark.django_db
TESTS = system("tests")
NEW = "web:release-new"
QUERIES = 40  # of the form, however many services are offered


def told(shop: Shop, version: str, service: Resource | None = None) -> Artefact:  # noqa: F811  # the fixture
    return artefacts.register(actor=shop.people[0], service=service or shop.service, told=Told(version))[0]


def posted(*pairs: tuple[Resource, Artefact | str], **more: str) -> dict[str, Any]:
    form: dict[str, Any] = {"environment": "production", "together": "on", "pick": [str(each.pk) for each, _v in pairs]}
    for service, version in pairs:
        form[f"version-{service.pk}"] = str(version.pk) if isinstance(version, Artefact) else version
    return form | more


def test_without_environments_or_rollouts_it_says_what_comes_first(browser: Any) -> None:
    person = browser(Role.OPERATOR)
    assert reverse("web:release-environments") in person.get(reverse(NEW)).content.decode()
    setup.put_environment(actor=TESTS, name="production")
    assert reverse("web:release-rollout-new") in person.get(reverse(NEW)).content.decode()
    assert browser(Role.VIEWER).get(reverse(NEW)).status_code == 403


def test_it_suggests_what_the_environment_before_has_and_else_the_newest(browser: Any, shop: Shop) -> None:  # noqa: F811
    person = browser(Role.OPERATOR)
    told(shop, "1.0")
    newest = told(shop, "1.1")
    assert f'value="{newest.pk}" selected' in person.get(reverse(NEW)).content.decode()
    before = setup.put_environment(actor=TESTS, name="staging", position=20)
    put_rollout(shop.service, before)
    there = told(shop, "1.0")
    release = actions.create(actor=shop.people[0], environment=before, artefacts=[there])
    work(actions.start(actor=shop.people[0], release=shop.agreed(release)))
    page = person.get(f"{reverse(NEW)}?environment=production").content.decode()
    assert f'value="{there.pk}" selected' in page
    assert "in the environment before" in page
    asked = {"environment": "production", "service": str(shop.service.pk), "version": "1.1"}
    filled = person.get(reverse(NEW), asked).content.decode()
    assert f'value="{newest.pk}" selected' in filled


def test_it_makes_a_release_in_the_order_that_was_written(browser: Any, shop: Shop) -> None:  # noqa: F811
    other = make_service("basket", 2, shop.effects.url)
    put_rollout(other, shop.environment)
    first, second = told(shop, "2.0"), told(shop, "7", other)
    form = posted((other, second), (shop.service, first), title="Both", **{f"order-{other.pk}": "2"})
    form[f"order-{shop.service.pk}"] = "1"
    form.pop("together")
    answer = browser(Role.OPERATOR).post(reverse(NEW), form)
    release = Release.objects.get()
    assert answer["Location"] == reverse("web:release", args=[release.number])
    assert [each.service.name for each in release.items.all()] == ["shop", "basket"]
    assert (release.title, release.together) == ("Both", False)


def test_every_reason_against_it_is_told_and_what_was_typed_stays(browser: Any, shop: Shop) -> None:  # noqa: F811
    before = setup.put_environment(actor=TESTS, name="staging", position=20)
    put_rollout(shop.service, before)
    bare = make_service("bare", 0, shop.effects.url)
    put_rollout(bare, shop.environment)
    version = told(shop, "2.0")
    form = posted((shop.service, version), (bare, told(shop, "1", bare)), title="Typed", skip_promotion="a reason")
    person = browser(Role.OPERATOR)
    refused = person.post(reverse(NEW), form)
    page = refused.content.decode()
    assert refused.status_code == 409
    assert "shop 2.0 has not been in staging" in page
    assert 'value="Typed"' in page
    assert 'value="a reason"' in page
    assert not Release.objects.exists()
    refused = person.post(reverse(NEW), {**form, "skip": "on"}).content.decode()
    assert "bare has no targets here" in refused
    assert "has not been in staging" not in refused
    alone = posted((shop.service, version), skip="on", skip_promotion="the fix cannot wait")
    assert person.post(reverse(NEW), alone).status_code == 302
    assert Release.objects.get().skip_promotion == "the fix cannot wait"


def test_of_many_services_some_are_shown_and_what_is_ticked_always_is(
    browser: Any,
    shop: Shop,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliver_release_form, "SERVICES", 2)
    for name in ("alpha", "beta", "gamma"):
        put_rollout(make_service(name, 1, shop.effects.url), shop.environment)
    person = browser(Role.OPERATOR)
    page = person.get(reverse(NEW)).content.decode()
    assert "2 more services" in page
    assert "gamma" not in page
    assert "gamma" in person.get(reverse(NEW), {"q": "gam"}).content.decode()
    assert str(shop.service.pk) in person.get(reverse(NEW), {"service": str(shop.service.pk)}).content.decode()
    refused = person.post(reverse(NEW), posted((shop.service, "x")))
    assert f'value="{shop.service.pk}" checked' in refused.content.decode()
    assert person.get(reverse(NEW), {"q": "nobody"}).status_code == 200


def test_nothing_ticked_or_no_version_is_refused(browser: Any, shop: Shop) -> None:  # noqa: F811
    person = browser(Role.OPERATOR)
    assert person.post(reverse(NEW), {"environment": "production"}).status_code == 422
    for wrong in ("", "x", str(shop.service.pk)):
        assert person.post(reverse(NEW), posted((shop.service, wrong))).status_code == 422
    assert person.post(reverse(NEW), {"environment": "nowhere"}).status_code == 404


def test_a_team_is_offered_its_own_services_and_releases_no_others(
    browser: Any,
    shop: Shop,  # noqa: F811
    django_assert_max_num_queries: Any,
) -> None:
    theirs = people.create_team(actor=TESTS, name="theirs")
    version = told(shop, "2.0")
    for number in range(4):
        put_rollout(make_service(f"other-{number}", 1, shop.effects.url), shop.environment)
    Resource.objects.filter(pk=shop.service.pk).update(owner=theirs)
    owner = browser(member_of(theirs, Role.OPERATOR, "owner"))
    page = owner.get(reverse(NEW)).content.decode()
    assert "other-1" not in page
    assert str(shop.service.pk) in page
    mine = people.create_team(actor=TESTS, name="mine")
    stranger = browser(member_of(mine, Role.OPERATOR, "stranger"))
    assert stranger.post(reverse(NEW), posted((shop.service, version))).status_code == 422
    person = browser(Role.OPERATOR)
    person.get(reverse(NEW))
    with django_assert_max_num_queries(QUERIES):
        person.get(reverse(NEW))

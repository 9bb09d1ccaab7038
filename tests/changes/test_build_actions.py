"""Build servers: named by administrators, their tokens kept and never moved to another place; looks that advance."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.changes import build_actions, build_polling, build_reads
from tongchou.changes.build_actions import ServerWanted
from tongchou.changes.models import DeploymentSource
from tongchou.changes.models_builds import BuildServer, PolledJob
from tongchou.core import secrets
from tongchou.core.access import system
from tongchou.core.models import Event
from tongchou.core.problems import AccessDenied, Invalid, NotFound

pytestmark = pytest.mark.django_db
TESTS = system("tests")
URL = "https://ci.example.org/jenkins"
TOKEN = "11-token-of-a-test"


def put(**said: Any) -> BuildServer:
    return build_actions.put_server(actor=TESTS, name="ci", wanted=ServerWanted(**said))


def test_a_server_is_named_changed_and_removed() -> None:
    row = put(url=URL + "/", user="ops", token=TOKEN, sender="ci-builds")
    assert (row.url, row.sender and row.sender.format) == (URL, "jenkins")
    assert build_reads.place_of(row).token == TOKEN
    assert TOKEN not in repr(build_reads.place_of(row))
    PolledJob.objects.create(server=row, job="x", seen=7)
    put(poll_every_seconds=300)
    assert row.jobs.count() == 1
    put(url="https://other.example.org", token=TOKEN)
    assert row.jobs.count() == 0, "another server's numbers say nothing"
    told = Event.objects.filter(verb="build_server.changed").order_by("id")
    assert [each.payload["token_changed"] for each in told] == [True, False, True]
    assert TOKEN not in str([each.payload for each in Event.objects.all()])
    build_actions.remove_server(actor=TESTS, row=row)
    assert not BuildServer.objects.exists()
    assert "build-server:ci" not in secrets.names()
    assert DeploymentSource.objects.filter(name="ci-builds").exists(), "what it told stays"


@pytest.mark.parametrize("moved", [{"url": "https://evil.example.org"}, {"user": "admin"}])
def test_a_token_is_not_sent_to_a_place_it_was_not_given_for(moved: dict[str, str]) -> None:
    put(url=URL, user="ops", token=TOKEN)
    with pytest.raises(Invalid) as refused:
        put(**moved)
    assert refused.value.code == "build_server.token"
    put(**moved, token="another-token")
    assert put(enabled=False).enabled is False


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({}, "url"),
        ({"url": "ftp://ci.example.org"}, "url"),
        ({"url": "https://ops:pw@ci.example.org"}, "url"),
        ({"url": "https://ci.example.org/?x=1"}, "url"),
        ({"url": "https://[::1"}, "url"),
        ({"url": URL, "user": "a:b"}, "user"),
        ({"url": URL, "token": "two\nlines"}, "token"),
        ({"url": URL, "poll_every_seconds": 5}, "poll_every_seconds"),
        ({"url": URL, "sender": "plain"}, "sender"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(said: dict[str, Any], field: str) -> None:
    DeploymentSource.objects.create(name="plain")
    with pytest.raises(Invalid) as refused:
        put(**said)
    assert refused.value.field == field
    assert TOKEN not in str(refused.value.as_dict())
    assert not BuildServer.objects.exists()


def test_only_administrators(operator_actor: Any) -> None:
    row = put(url=URL)
    for act in (
        lambda: build_actions.put_server(actor=operator_actor, name="x", wanted=ServerWanted(url=URL)),
        lambda: build_actions.test_server(actor=operator_actor, row=row),
        lambda: build_actions.remove_server(actor=operator_actor, row=row),
    ):
        with pytest.raises(AccessDenied):
            act()
    assert build_reads.server(operator_actor, "ci") == row
    with pytest.raises(NotFound):
        build_reads.server(operator_actor, "none")


def test_which_jobs_a_rule_fits() -> None:
    rules = [{"name": "shop/*", "ignore": True}, {"name": "ops/deploy-?"}]
    assert [build_polling.is_wanted(job, rules) for job in ("shop/x", "ops/deploy-1", "ops/x")] == [False, True, False]
    assert build_polling.is_wanted("anything", [{"service": "{name}"}])
    assert not build_polling.is_wanted("anything", [])


@given(st.lists(st.integers(1, 30), unique=True, max_size=30), st.data())
def test_in_whatever_order_builds_end_each_is_dealt_with_once(numbers: list[int], data: st.DataObject) -> None:
    """`seen` never passes a build that runs, nothing ended is asked for again, and in the end all is behind it."""
    numbers.sort()
    order = data.draw(st.permutations(numbers))
    seen, ended, handled = 0, [], []
    for count in range(len(order) + 1):
        over = set(order[:count])
        found = [number for number in numbers if number > seen]
        done = set(ended)
        for number in found:
            if number in over and number not in done:
                handled.append(number)
                done.add(number)
        seen, ended = build_polling.advanced(seen, done, found)
        assert all(number in over for number in numbers if number <= seen)
    assert sorted(handled) == numbers
    assert (seen, ended) == (max(numbers, default=0), [])

"""Every URL by everybody: what a role does not include is refused and writes nothing; what it includes is not refused.

The matrix (matrix.txt) is found by taking permissions away and is kept in the repository: a URL it does not know fails.
`WRITE_MATRIX=1 pytest tests/access` writes it anew; read the difference before you commit it.
"""

from __future__ import annotations

import difflib
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from tests import rows
from tests.access.matrix import FILE, PUBLIC, Key, asked, observe, written
from tests.access.probe import Outcome, send
from tests.access.walk import METHODS, Place, places
from tests.conftest import make_user
from tests.web.conftest import BACKEND, HTML
from tests.web.foreign import MARKER, plant
from tongchou.core import people, tokens
from tongchou.core.access import Actor, actor_for_user, allows, system
from tongchou.core.models import ApiToken, Membership, Role, User
from tongchou.telemetry.backend import Telemetry

pytestmark = pytest.mark.timeout(1800)  # it walks every URL: minutes where the machine is busy

SYSTEM = system("tests")
ANYWHERE = {"runbooks.request", "execution.stop"}  # a role in any team is enough: own runs, and the emergency stop
ELSEWHERE = {"REMOTE_ADDR": "203.0.113.9"}  # not this host, which may read more


@dataclass
class Identity:
    """Somebody: a session for pages, a token for machines."""

    user: User
    page: Client
    api: Client
    actor: Actor  # of the token

    def at(self, place: Place) -> Client:
        """The client that this kind of URL is meant for."""
        return self.page if place.is_page else self.api


def identity(user: User, scopes: list[str] | None = None) -> Identity:
    row, token = tokens.create(actor=SYSTEM, user=user, name="t", scopes=scopes or ["all"], expires_at=None)
    page = Client(headers=HTML, raise_request_exception=False, **ELSEWHERE)
    page.force_login(user, backend=BACKEND)
    api = Client(headers={"Authorization": f"Bearer {token}"}, raise_request_exception=False, **ELSEWHERE)
    return Identity(user, page, api, actor_for_user(user, token=row))


@pytest.fixture
def world(db: None, telemetry_db: Telemetry, caplog: Any) -> list[Place]:
    """Two of everything; the first of what has an owner belongs to a team of its own."""
    caplog.set_level("CRITICAL")
    rows.grow(2)
    return places()


_observed: dict[Key, tuple[int, set[str]]] = {}


@pytest.fixture
def known(world: list[Place]) -> dict[Key, tuple[int, set[str]]]:
    """The matrix of this code, found once a process."""
    if not _observed:
        admin = identity(make_user("root-of-tests", Role.ADMIN))
        for place in world:
            _observed.update(observe(admin.at(place), [place]))
    return _observed


def test_every_url_is_in_the_matrix_with_what_it_needs(known: dict[Key, tuple[int, set[str]]]) -> None:
    text = written(known)
    if os.environ.get("WRITE_MATRIX"):
        FILE.write_text(text)
    before = FILE.read_text()
    changed = "\n".join(difflib.unified_diff(before.splitlines(), text.splitlines(), "matrix.txt", "now", lineterm=""))
    assert text == before, f"WRITE_MATRIX=1 pytest tests/access writes it anew; read what changed:\n{changed}"


def test_no_url_fails_for_an_administrator(known: dict[Key, tuple[int, set[str]]]) -> None:
    assert {key: status for key, (status, _needs) in known.items() if status >= 500 and status != 503} == {}


def walk(
    world: list[Place],
    who: Callable[[Place], Client],
    judge: Callable[[Place, str, Outcome], str | None],
    known: dict[Key, tuple[int, set[str]]] | None = None,
    *,
    part: str = "",
    methods: tuple[str, ...] = METHODS,
) -> None:
    """Send every method (that is served, by `known`) to every URL and collect what the judge says against it.

    With `part`, a third of them, another third for another name: `make soak` (WALK_ALL) asks all.
    """
    found = []
    third = part and not os.environ.get("WALK_ALL")
    for place in world:
        for method in methods if asked(place) else ():
            if known is not None and (place.route, method) not in known:
                continue  # nobody is served it: an administrator was told so when the matrix was found
            if third and zlib.crc32(f"{part} {method} {place.route}".encode()) % 3:
                continue
            outcome = send(who(place), place, method)
            verdict = judge(place, method, outcome)
            if outcome.status >= 500 and outcome.status != 503:
                verdict = "a server error"
            if verdict:
                found.append(f"{method} /{place.route}: {outcome.status} {verdict} {outcome.text[:120]}")
    assert not found, "\n" + "\n".join(found)


def refused(place: Place, outcome: Outcome) -> bool:
    to_login = outcome.status == 302 and "/accounts/" in outcome.location
    return outcome.status in (401, 403, 404, 405) or (place.is_page and to_login)


@pytest.mark.parametrize("how", ["anonymous", "disabled", "expired token"])
def test_nobody_gets_past_the_door(world: list[Place], known: dict[Key, tuple[int, set[str]]], how: str) -> None:
    page = Client(headers=HTML, raise_request_exception=False, **ELSEWHERE)
    api = Client(raise_request_exception=False, **ELSEWHERE)
    if how != "anonymous":
        who = identity(make_user("gone", Role.ADMIN))
        page, api = who.page, who.api
        if how == "disabled":
            User.objects.filter(pk=who.user.pk).update(is_active=False)
        else:
            tokens.revoke(actor=SYSTEM, token=ApiToken.objects.get(user=who.user))
            page.logout()

    def judge(place: Place, _method: str, outcome: Outcome) -> str | None:
        if place.route in PUBLIC:
            return None
        if outcome.wrote:
            return f"wrote {sorted(outcome.wrote)}"
        return None if refused(place, outcome) else "is open"

    if how == "anonymous":
        walk(world, lambda place: page if place.is_page else api, judge)
    else:
        walk(world, lambda place: page if place.is_page else api, judge, known, part=how)


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        (Role.VIEWER, ["all"]),
        (Role.OPERATOR, ["all"]),
        (Role.APPROVER, ["all"]),
        (Role.ADMIN, ["all"]),
        (Role.ADMIN, ["read"]),
        (Role.ADMIN, ["ingest"]),
    ],
)
def test_a_role_does_what_it_includes_and_nothing_else(
    world: list[Place], known: dict[Key, tuple[int, set[str]]], role: Role, scopes: list[str]
) -> None:
    who = identity(make_user("somebody", role), scopes)
    person = actor_for_user(who.user)

    def judge(place: Place, method: str, outcome: Outcome) -> str | None:
        if place.route in PUBLIC:
            return None
        status, needs = known[place.route, method]
        actor = person if place.is_page else who.actor
        if not all(allows(actor, each) for each in needs):
            if outcome.wrote:
                return f"lacks {needs} and wrote {sorted(outcome.wrote)}"
            return None if refused(place, outcome) else f"lacks {needs}"
        if not place.is_page and "all" not in actor.scopes:
            narrow = "write" not in actor.scopes and method != "GET" and not needs and outcome.wrote
            return f"a narrow token wrote {sorted(outcome.wrote)}" if narrow else None
        return "is refused" if outcome.status in (401, 403) and status not in (401, 403) else None

    walk(world, who.at, judge, known, part=f"{role} {scopes}")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.APPROVER])
def test_a_role_in_one_team_writes_nothing_of_another(
    world: list[Place], known: dict[Key, tuple[int, set[str]]], role: Role
) -> None:
    user = make_user("stranger", None)
    Membership.objects.create(user=user, team=people.create_team(actor=SYSTEM, name="ours"), role=role)
    who = identity(user)

    def judge(place: Place, method: str, outcome: Outcome) -> str | None:
        _status, needs = known.get((place.route, method), (0, set()))
        if method == "GET" and "export" in place.route and outcome.wrote <= {"core_event", "core_eventabout"}:
            return None  # who took which rows of their own out is told in the ledger
        if outcome.wrote <= {"core_listpreference"}:
            return None  # the columns somebody sees are their own
        return f"wrote {sorted(outcome.wrote)}" if outcome.wrote and needs and not needs & ANYWHERE else None

    walk(world, who.at, judge, known, part=f"{role} of one team")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.APPROVER])
def test_no_protocol_tells_a_team_of_another(db: None, telemetry_db: Telemetry, caplog: Any, role: Role) -> None:
    caplog.set_level("CRITICAL")
    plant()
    user = make_user("stranger", None)
    Membership.objects.create(user=user, team=people.create_team(actor=SYSTEM, name="ours"), role=role)
    who, owner = identity(user), identity(make_user("owner", Role.VIEWER))

    def judge(place: Place, _method: str, outcome: Outcome) -> str | None:
        return "tells" if MARKER in outcome.text else None

    machines = [each for each in places() if not each.is_page]
    walk(machines, lambda _place: who.api, judge, methods=METHODS[:1])
    walk(machines, lambda _place: who.api, judge, methods=METHODS[1:], part=f"{role} protocols")
    told = [each.route for each in machines if asked(each) and MARKER in send(owner.api, each, "GET").text]
    assert len(told) > 10  # else nothing was planted


def test_every_unsafe_page_wants_the_csrf_token(
    world: list[Place], known: dict[Key, tuple[int, set[str]]], admin_user: User
) -> None:
    client = Client(headers=HTML, enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(admin_user, backend=BACKEND)

    def judge(place: Place, _method: str, outcome: Outcome) -> str | None:
        if outcome.wrote:
            return f"wrote {sorted(outcome.wrote)}"
        return None if outcome.status in (401, 403, 405) or place.route in PUBLIC else "asks for no CSRF token"

    walk(world, lambda _place: client, judge, known, methods=METHODS[1:])

"""Fixtures every test may use. Sockets are closed but for loopback; warnings are errors (pyproject)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import translation
from hypothesis import HealthCheck, settings

from tests import prepared
from tongchou.core import people, tokens
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Role, User
from tongchou.core.problems import NotSignedIn
from tongchou.inventory import kinds

# how long an example takes says how busy the machine is, not whether the code is right
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")
pytest_plugins = ["tests.telemetry_fixtures"]
PASSWORD = "correct horse battery"  # a test's password
if connection.vendor == "sqlite":  # power may go while tests run: only processes they start need what they wrote
    connection.settings_dict["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"
prepared.use()
PBKDF2PasswordHasher.iterations = 2  # a million, half a second for each person of each test, is for real passwords


LONGEST = "tests/slices/test_restore_postgres.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first: last, one process would be at it while the others have nothing to do."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def make_user(username: str, role: Role | None) -> User:
    """Create a person with a global role and the tests' password."""
    return people.create_user(actor=system("tests"), username=username, password=PASSWORD, role=role)


@pytest.fixture
def admin_user(db: None) -> User:
    """A person with the role admin."""
    return make_user("admin", Role.ADMIN)


@pytest.fixture
def admin_actor(admin_user: User) -> Actor:
    """The actor of admin_user."""
    return actor_for_user(admin_user)


@pytest.fixture
def approver_actor(db: None) -> Actor:
    """An actor with the role approver."""
    return actor_for_user(make_user("approver", Role.APPROVER))


@pytest.fixture
def operator_actor(db: None) -> Actor:
    """An actor with the role operator."""
    return actor_for_user(make_user("operator", Role.OPERATOR))


@pytest.fixture
def viewer_actor(db: None) -> Actor:
    """An actor with the role viewer."""
    return actor_for_user(make_user("viewer", Role.VIEWER))


@pytest.fixture(autouse=True)
def _no_kinds_defined() -> None:
    """What one test defined is unknown to the next; and tests without a database ask none for it."""
    kinds.assume_none(86_400)


@pytest.fixture(autouse=True)
def _own_language() -> Iterator[None]:
    """Django leaves the language of a request's reader on in the thread: the next test must not be told in it."""
    yield
    translation.deactivate()


class Api:
    """The test client with a token; `get/post/put/patch/delete` take JSON and return Django's response."""

    def __init__(self, token: str) -> None:
        self._client = Client(headers={"Authorization": f"Bearer {token}"}, raise_request_exception=True)

    def get(self, path: str, **query: Any) -> HttpResponse:
        """GET with query parameters."""
        return self._client.get(path, query)

    def _send(self, method: str, path: str, body: Any, content_type: str) -> HttpResponse:
        data = body if isinstance(body, str | bytes) else json.dumps(body if body is not None else {})
        return getattr(self._client, method)(path, data=data, content_type=content_type)

    def post(self, path: str, body: Any = None, content_type: str = "application/json") -> HttpResponse:
        """POST JSON (or text as it is)."""
        return self._send("post", path, body, content_type)

    def put(self, path: str, body: Any = None, content_type: str = "application/json") -> HttpResponse:
        """PUT JSON (or text as it is)."""
        return self._send("put", path, body, content_type)

    def patch(self, path: str, body: Any = None, content_type: str = "application/json") -> HttpResponse:
        """PATCH JSON."""
        return self._send("patch", path, body, content_type)

    def delete(self, path: str) -> HttpResponse:
        """DELETE."""
        return self._client.delete(path)


@pytest.fixture
def api_as(db: None) -> Any:
    """Return a function (actor or user, scopes) -> Api with a fresh token."""

    def make(who: Actor | User, scopes: list[str] | None = None) -> Api:
        user = who if isinstance(who, User) else User.objects.get(pk=who.user_id)
        _row, token = tokens.create(
            actor=system("tests"), user=user, name="test", scopes=scopes or ["all"], expires_at=None
        )
        with suppress(NotSignedIn):
            tokens.actor_for_authorization(f"Bearer {token}")  # used before: a first use costs queries of its own
        return Api(token)

    return make


@pytest.fixture
def api(admin_user: User, api_as: Any) -> Api:
    """The API client of an administrator."""
    made = api_as(admin_user)
    assert isinstance(made, Api)
    return made

"""Fixtures of the page tests: signed-in browsers of Django's test client."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import Client

from tests.conftest import make_user
from tongchou.core.models import Role, User
from tongchou.web.session_gate import CHECKED

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
HTML = {"Accept": "text/html"}


@pytest.fixture
def browser(db: None) -> Any:
    """Return a function (role or user, language) -> client signed in; the password is the tests'."""

    def make(who: Role | User, language: str = "en") -> Client:
        user = who if isinstance(who, User) else make_user(f"{who.value}-{User.objects.count()}", who)
        User.objects.filter(pk=user.pk).update(language=language)
        client = Client(headers=HTML)
        client.force_login(user, backend=BACKEND)
        session = client.session
        session[CHECKED] = time.time()  # as after its first page: what a session owes is looked up once a minute
        session.save()
        client.user = User.objects.get(pk=user.pk)
        return client

    return make

"""Fixtures of the page tests: signed-in browsers of Django's test client."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.conftest import make_user
from tongchou.core.models import Role, User

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
        client.user = User.objects.get(pk=user.pk)
        return client

    return make

from __future__ import annotations

import pytest
from django.test import Client

from tongchou.core import tokens
from tongchou.core.access import system
from tongchou.core.models import User


@pytest.fixture
def sender(operator_actor):
    """POST as a token that may only send; `sender.token` is the token."""
    who = User.objects.get(pk=operator_actor.user_id)
    _row, token = tokens.create(actor=system("tests"), user=who, name="sender", scopes=["ingest"], expires_at=None)

    def post(url, body, content_type, **headers):
        client = Client(headers={"Authorization": f"Bearer {token}", **headers})
        return client.post(url, data=body, content_type=content_type)

    post.token = token
    return post

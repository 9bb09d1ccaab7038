from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tongchou.core import secrets
from tongchou.core.access import Actor
from tongchou.core.models import Event, Secret
from tongchou.core.problems import AccessDenied, Invalid, NotFound, Unavailable

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
VALUE = "hunter2-密码-that-nobody-may-see"


def test_a_secret_comes_back_and_is_nowhere_in_clear(admin_actor: Actor, tmp_path: Path) -> None:
    secrets.put(actor=admin_actor, name="shop-control", value=VALUE)
    assert secrets.reveal("shop-control") == VALUE
    assert VALUE not in Secret.objects.get().ciphertext
    call_command("dumpdata", "core", output=str(tmp_path / "dump.json"))
    assert "hunter2" not in (tmp_path / "dump.json").read_text()
    assert "hunter2" not in json.dumps(list(Event.objects.values("payload")))


def test_another_key_cannot_open_it_and_says_so(admin_actor: Actor, settings: Any, tmp_path: Path) -> None:
    secrets.put(actor=admin_actor, name="shop-control", value=VALUE)
    settings.SECRETS_KEY_FILE = tmp_path / "other.key"
    with pytest.raises(Unavailable, match=r"secret\.key"):
        secrets.reveal("shop-control")


def test_only_an_administrator_stores_secrets(operator_actor: Actor) -> None:
    with pytest.raises(AccessDenied):
        secrets.put(actor=operator_actor, name="x", value="y")


@pytest.mark.parametrize("name", ["", "UPPER", "with space", "../etc", "x" * 121])
def test_a_bad_name_is_refused_with_the_field(admin_actor: Actor, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        secrets.put(actor=admin_actor, name=name, value="y")
    assert caught.value.field == "name"


def test_an_unknown_secret_says_where_to_make_it() -> None:
    with pytest.raises(NotFound) as caught:
        secrets.reveal("nope")
    assert caught.value.remedy

"""The settings of the address: which fit together and which do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import translation

from tongchou.core.address_checks import judge_address, without_password

SOUND: dict[str, Any] = {
    "public_url": "https://ops.example.org",
    "allowed_hosts": ["127.0.0.1", "ops.example.org"],
    "origins": ["https://ops.example.org"],
    "listens_on": "127.0.0.1",
    "trusted": ["127.0.0.1"],
}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("fail", {"public_url": "ops.example.org"}, "TONGCHOU_PUBLIC_URL"),
    ("fail", {"public_url": "https://ops.example.org/tongchou"}, "scheme and host only"),
    ("fail", {"allowed_hosts": ["127.0.0.1"]}, "TONGCHOU_ALLOWED_HOSTS"),
    ("warn", {"allowed_hosts": ["*"]}, "TONGCHOU_ALLOWED_HOSTS"),
    ("warn", {"origins": ["https://other.example.org"]}, "TONGCHOU_TRUSTED_ORIGINS"),
    ("warn", {"public_url": "http://ops.example.org", "origins": ["http://ops.example.org"]}, "deploy/nginx.conf"),
    ("warn", {"trusted": []}, "TONGCHOU_TRUSTED_PROXIES"),
    ("fail", {"trusted": ["0.0.0.0/0"]}, "one by one"),
]


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """The words are compared in English, whatever language a test before left on."""
    with translation.override("en"):
        yield


@pytest.mark.parametrize("more", [{}, {"allowed_hosts": [".example.org"]}, {"listens_on": "0.0.0.0"}])
def test_settings_that_fit_are_well(more: dict[str, Any]) -> None:
    assert judge_address(**{**SOUND, **more}).status == "ok"


def test_the_default_is_well() -> None:
    url = "http://127.0.0.1:8420"
    found = judge_address(
        public_url=url, allowed_hosts=["127.0.0.1"], origins=[url], listens_on="127.0.0.1", trusted=[]
    )
    assert found.status == "ok"


@pytest.mark.parametrize(("status", "change", "word"), WRONG)
def test_settings_that_do_not_fit_say_what_to_do(status: str, change: dict[str, Any], word: str) -> None:
    found = judge_address(**{**SOUND, **change})
    assert found.status == status
    assert word in f"{found.detail} {found.remedy}"


def test_a_database_address_is_shown_without_its_password() -> None:
    assert without_password("postgresql://app:hunter2@db:5432/app") == "postgresql://app@db:5432/app"

"""One request and what it did: the answer, the permissions that were asked for, the tables that were written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client

from tests.access.walk import Place, body, query
from tongchou.core import access
from tongchou.core.models import Role

WRITE = re.compile(r'^\s*(?:INSERT INTO|INSERT OR \w+ INTO|UPDATE|DELETE FROM)\s+"?(\w+)', re.IGNORECASE)
# the platform's own bookkeeping of sign-ins: no noun of anybody's
BOOKKEEPING = frozenset(
    {"django_session", "core_apitoken", "core_user", "axes_accessattempt", "axes_accesslog", "usersessions_usersession"}
)


class Asked(dict[str, Role]):
    """The table of permissions, noting what is looked up; what is in `without` is not in it."""

    def __init__(self, table: dict[str, Role], without: frozenset[str] = frozenset()) -> None:
        super().__init__({name: role for name, role in table.items() if name not in without})
        self.seen: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """Note and look up."""
        self.seen.add(name)
        return super().get(name, default)


@dataclass
class Outcome:
    """What one request did."""

    status: int
    text: str
    asked: set[str]
    wrote: set[str] = field(default_factory=set)
    location: str = ""


class _Undo(Exception):
    """Takes back what the request wrote."""


@contextmanager
def undone() -> Iterator[None]:
    """Whatever is written inside is taken back."""
    try:
        with transaction.atomic():
            yield
            raise _Undo
    except _Undo:
        return


def send(
    client: Client, place: Place, method: str, *, without: frozenset[str] = frozenset(), form: Any = None
) -> Outcome:
    """Send one request, and take back what it wrote."""
    wrote: set[str] = set()

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found = WRITE.match(sql)
        if found:
            wrote.add(found[1])
        return execute(sql, params, many, context)

    kind, raw = body(place, method)
    path = place.address + (f"?{query(place, method)}" if place.is_api else "")
    cookies = SimpleCookie(client.cookies.output(header="", sep=";"))  # signing out must not end the walk
    table, before = Asked(access.PERMISSIONS, without), access.PERMISSIONS
    access.PERMISSIONS = table
    try:
        with undone(), connection.execute_wrapper(watch):
            if method == "GET":
                response = client.get(path)
            elif place.is_api or not place.is_page:
                response = client.generic(method, path, raw, content_type=kind)
            else:
                response = getattr(client, method.lower())(path, form if form is not None and method == "POST" else {})
    finally:
        access.PERMISSIONS = before
        client.cookies = cookies
    return Outcome(response.status_code, _text(response), table.seen, wrote - BOOKKEEPING, response.get("Location", ""))


def _text(response: HttpResponse) -> str:
    if response.streaming:
        response.close()
        return ""
    return response.content.decode("utf-8", "replace")

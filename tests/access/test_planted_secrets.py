"""A secret can be written and used, never read: one is planted wherever a person can put one, and looked for everywhere.

Everywhere: every answer to every URL that is read, refusals of what carried it, the log at its most talkative, every
row of the database but the ciphertexts, the metrics. Each place has a word of its own, so that a find names its place.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse

from tests.access.matrix import STREAMS
from tests.access.test_matrix import Identity, identity
from tests.access.walk import places, query
from tests.conftest import PASSWORD, make_user
from tests.runbooks.conftest import Effects, _loopback, decide, effects, reply, work  # noqa: F401  # fixtures
from tests.web.conftest import HTML
from tongchou.alerting import jobs as telling
from tongchou.alerting.models import Channel
from tongchou.core import http
from tongchou.core.access import actor_for_user, system
from tongchou.core.models import Role
from tongchou.runbooks.models import Run
from tongchou.telemetry.backend import Telemetry

pytestmark = pytest.mark.django_db(transaction=True)
WORD = "pl4nted"
V1 = "/api/v1"


def word(place: str) -> str:
    return f"{WORD}-{place}-0123456789abcdef"


PROCEDURE = """
name: call
title: {en: Call, zh: 调用}
grade: reversible
max_targets: 1
steps:
  - name: call
    http: {method: POST, url: "${target.control_url}/echo", headers: {X-Key: "${secret.planted}"}, idempotent: true}
"""


class Leaks(logging.Handler):
    """Every answer and every line of the log that has the word."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter())
        self.found: list[str] = []
        self.statuses: dict[str, int] = {}

    def look(self, where: str, text: str) -> None:
        """Note each place where the word stands, plain or in base64."""
        for hidden in (WORD, base64.b64encode(f"x:{WORD}".encode()).decode()[4:12]):
            at = text.find(hidden)
            if at >= 0:
                self.found.append(f"{where}: ...{text[max(0, at - 60) : at + 60]!r}")

    def emit(self, record: logging.LogRecord) -> None:
        """A line of the log, with its traceback."""
        self.look(f"log of {record.name}", self.format(record))

    def sent(self, name: str, response: HttpResponse) -> HttpResponse:
        """An answer."""
        self.statuses[name] = response.status_code
        text = "" if response.streaming else response.content.decode("utf-8", "replace")
        self.look(name, text + str(dict(response.headers)))
        return response


@contextmanager
def talkative(leaks: Leaks) -> Iterator[None]:
    """Everything is logged while this lasts, to `leaks`."""
    root = logging.getLogger()
    before = root.level
    root.addHandler(leaks)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(leaks)
        root.setLevel(before)


def write(who: Identity, leaks: Leaks, method: str, path: str, body: Any) -> HttpResponse:
    raw = body if isinstance(body, str) else json.dumps(body)
    kind = "application/yaml" if isinstance(body, str) else "application/json"
    return leaks.sent(f"{method} {path}", who.api.generic(method, V1 + path, raw, content_type=kind))


def plant(who: Identity, leaks: Leaks, url: str) -> None:
    """Put a secret wherever there is a place for one."""
    for name in ("planted", "http-sd"):
        assert write(who, leaks, "PUT", f"/secrets/{name}", {"value": word(f"store-{name}")}).status_code == 204
    hook = {"url": f"{url}/hook", "headers": {"Authorization": word("header")}}
    for settings in (hook, {"url": hook["url"]}):
        body = {"name": "hook", "kind": "webhook", "settings": settings, "secret": word("webhook")}
        made = write(who, leaks, "POST", "/channels", body)
        if made.status_code == 201:
            break
    assert made.status_code == 201, made.content
    mail = {
        "host": "127.0.0.1", "port": 9, "security": "starttls", "username": "u", "from": "a@example.org", "to": ["b@example.org"],
    }  # fmt: skip
    body = {"name": "mail", "kind": "smtp", "settings": mail, "secret": word("smtp")}
    assert write(who, leaks, "POST", "/channels", body).status_code in (201, 422)
    write(who, leaks, "PUT", "/deployment-sources/ci", {"secret": word("deployments")})
    body = {"username": "planted-person", "password": word("password"), "role": "viewer"}
    assert write(who, leaks, "POST", "/users", body).status_code == 201
    sd = {"url": f"{url}/sd", "bearer_secret": "http-sd"}
    made = write(who, leaks, "POST", "/sources", {"name": "sd", "kind": "http_sd", "settings": sd})
    assert made.status_code in (200, 201), made.content


def refusals(who: Identity, leaks: Leaks, port: str) -> None:
    """Secrets in requests that are refused: what was wrong must be told without them."""
    inside = f"http://u:{word('url-credentials')}@127.0.0.1:{port}/x"
    for method, path, body in (
        ("PUT", "/secrets/NOT-A-NAME", {"value": word("refused-name")}),
        ("PUT", "/secrets/planted", {"value": [word("refused-type")]}),
        ("PUT", "/secrets/planted", {"value": word("refused-key"), "other": 1}),
        ("PUT", "/secrets/planted", '{"value": "' + word("refused-json")),
        ("POST", "/channels", {"name": "x", "kind": "no-such", "settings": {}, "secret": word("refused-kind")}),
        ("POST", "/channels", {"name": "x", "kind": "webhook", "settings": {"url": inside}, "secret": "s"}),
        ("POST", "/channels", {"name": "z", "kind": "smtp", "settings": {"password": word("refused-smtp")}}),
        ("POST", "/channels", {"name": "y", "settings": {"url": 1}, "secret": {"a": word("refused-dict")}}),
        ("POST", "/users", {"username": "u", "password": [word("refused-password")]}),
        ("POST", "/users", {"username": "u u", "password": word("refused-user")}),
        ("PUT", "/deployment-sources/NOT A NAME", {"secret": word("refused-source")}),
        ("POST", "/sources", {"name": "bad", "kind": "http_sd", "settings": {"url": inside}}),
        ("POST", "/sources", {"name": "bad", "kind": "http_sd", "settings": {"url": "x", "password": word("sd")}}),
        (
            "PUT",
            "/procedures/bad",
            PROCEDURE.replace("${secret.planted}", "${secret." + word("x").upper() + "}")[:0] or "a: [",
        ),
    ):
        assert write(who, leaks, method, path, body).status_code in (200, 201, 204, 400, 404, 409, 422)
    who.page.raise_request_exception = False
    for header in (f"Bearer tc_{word('token')}", f"Basic {base64.b64encode(word('basic').encode()).decode()}"):
        client = type(who.api)(headers={"Authorization": header}, raise_request_exception=False)
        assert leaks.sent("a wrong token", client.get(f"{V1}/me")).status_code == 401
    client = type(who.api)(headers=HTML, raise_request_exception=False)
    form = {"login": "planted-person", "password": word("wrong-password")}
    leaks.sent("a wrong password", client.post("/accounts/login/", form))
    form = {"old_password": word("old"), "new_password": word("new"), "repeat": "another"}
    leaks.sent("a password that is not repeated", who.page.post("/account/password", form))
    form = {"name": "form", "kind": "webhook", "url": "not a url", "secret": word("form-secret")}
    leaks.sent("a channel's form", who.page.post("/alerts/channels/new?kind=webhook", form))
    hook = {"X-Tongchou-Signature": word("signature")}
    leaks.sent("a wrong signature", client.post("/hooks/deployments/ci", "{}", "application/json", headers=hook))


def use(who: Identity, leaks: Leaks, approver: Any, control: Effects) -> None:
    """Use what was planted: messages, a source, a run whose other side says the secret back."""
    for channel in Channel.objects.all():
        write(who, leaks, "POST", f"/channels/{channel.name}/test", {})
        telling.send_test(actor=system("tests"), channel=channel)
    write(who, leaks, "POST", "/sources/sd/sync", {})
    write(who, leaks, "POST", "/sources/sd/plan", {})
    write(who, leaks, "PUT", "/settings/execution.enabled", {"value": True})
    write(who, leaks, "PUT", "/settings/execution.targets", {"value": ["db-b"]})
    body = {"kind": "database", "name": "db-b", "attributes": {"control_url": control.url}}
    target = write(who, leaks, "POST", "/resources", body).json()["id"]
    assert write(who, leaks, "PUT", "/procedures/call", PROCEDURE).status_code in (200, 201)
    asked = write(who, leaks, "POST", "/procedures/call/runs", {"targets": [target], "reason": "because"})
    assert asked.status_code == 201, asked.content
    run = work(Run.objects.get())
    decide(approver, run)
    work(run)
    assert [each.headers["x-key"] for each in control.seen if each.path == "/echo"] == [word("store-planted")]


def test_no_secret_is_ever_read_back(effects: Effects, telemetry_db: Telemetry, settings: Any) -> None:  # noqa: F811  # the fixture
    settings.DATABASE_URL = f"postgresql://u:{word('database-url')}@db.example.org/x"
    leaks = Leaks()
    who, approver = identity(make_user("root", Role.ADMIN)), actor_for_user(make_user("second", Role.APPROVER))

    def echo(handler: Any, request: Any) -> None:
        reply(handler, 500, json.dumps(request.headers | {"body": request.body.decode()}).encode())

    effects.answers = {"/echo": echo, "/hook": echo, "/sd": echo}
    with talkative(leaks):
        plant(who, leaks, effects.url)
        refusals(who, leaks, effects.url.rpartition(":")[2])
        use(who, leaks, approver, effects)
        for place in places():
            if place.route not in STREAMS:
                path = place.address + (f"?{query(place, 'GET')}" if place.is_api else "")
                for form in (path, f"{path}?format=csv", f"{path}?part=live"):
                    leaks.sent(f"GET /{place.route}", who.at(place).get(form))
    heads = [str(each.headers) for each in effects.seen]
    for used in ("store-planted", "store-http-sd"):  # else nothing was used and nothing could leak
        assert any(word(used) in each for each in heads), used
    dumped = 0
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():  # as they lie there, not as the models read them
                dumped += 1
                leaks.look(f"table {table}", str(row))
    assert dumped > 50
    assert PASSWORD not in "".join(leaks.found)
    assert not leaks.found, "\n" + "\n".join(leaks.found)


def test_the_look_out_sees_what_is_there() -> None:
    leaks = Leaks()
    for text in (f"a {word('x')}", base64.b64encode(f"x:{word('y')}".encode()).decode()):
        leaks.look("here", text)
    assert len(leaks.found) == 2
    assert http.USER_AGENT  # the requests above went through the one door

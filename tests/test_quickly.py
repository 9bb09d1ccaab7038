"""What is answered in the event loop, and that everything else reaches Django as it came."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from django.http import HttpResponse, JsonResponse
from hypothesis import given
from hypothesis import strategies as st

from tongchou import quickly
from tongchou.core.access import NOBODY, system

PATH = "/tests/quickly"
HOST = (b"host", b"127.0.0.1:8420")


@pytest.fixture(autouse=True)
def _own_answerers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quickly, "_answerers", {})


def asked(
    messages: list[dict[str, Any]], method: str = "POST", headers: tuple[tuple[bytes, bytes], ...] = (HOST,)
) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
    """Return (what was sent, what Django would receive; None when it is answered)."""
    sent: list[dict[str, Any]] = []
    scope = {"method": method, "path": PATH, "headers": headers}
    coming = iter(messages)

    async def receive() -> Any:
        return next(coming, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> list[dict[str, Any]] | None:
        rest = await quickly.answered(scope, receive, send)
        if rest is None:
            return None
        found = [dict(await rest())]
        while found[-1]["type"] == "http.request" and found[-1].get("more_body"):
            found.append(dict(await rest()))
        return found

    return sent, asyncio.run(run())


def pieces(*bodies: bytes) -> list[dict[str, Any]]:
    last = len(bodies) - 1
    return [{"type": "http.request", "body": body, "more_body": n < last} for n, body in enumerate(bodies)]


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_what_nobody_answers_arrives_whole(bodies: list[bytes]) -> None:
    async def no(_headers: quickly.Headers, _body: bytes) -> None:
        return None

    quickly.answers(PATH, no)
    sent, received = asked(pieces(*bodies))
    assert sent == []
    assert received is not None
    assert b"".join(each["body"] for each in received) == b"".join(bodies)


def test_a_long_body_and_a_client_that_leaves_are_nothing_for_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_headers: quickly.Headers, _body: bytes) -> None:
        pytest.fail("asked")

    quickly.answers(PATH, never)
    monkeypatch.setattr(quickly, "MAX_BYTES", 10)
    _sent, received = asked(pieces(b"a" * 8, b"b" * 8, b"c" * 8))
    assert received is not None
    assert b"".join(each["body"] for each in received) == b"a" * 8 + b"b" * 8 + b"c" * 8
    _sent, received = asked([*pieces(b"a", b"")[:1], {"type": "http.disconnect"}])
    assert received is not None
    assert received[-1]["type"] == "http.disconnect"


def test_other_methods_and_paths_are_not_looked_at() -> None:
    async def never(_headers: quickly.Headers, _body: bytes) -> None:
        pytest.fail("asked")

    quickly.answers(PATH, never)
    assert asked(pieces(b"x"), method="GET") == ([], pieces(b"x"))
    quickly.answers(PATH + "/other", never)
    quickly._answerers.pop(PATH)
    assert asked(pieces(b"x")) == ([], pieces(b"x"))


@pytest.mark.parametrize(
    "headers", [(), ((b"host", b"elsewhere.example"),), (HOST, (b"authorization", b"a"), (b"authorization", b"b"))]
)
def test_what_django_would_refuse_or_join_is_left_to_it(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    async def never(_headers: quickly.Headers, _body: bytes) -> None:
        pytest.fail("asked")

    quickly.answers(PATH, never)
    assert asked(pieces(b"x"), headers=headers) == ([], pieces(b"x"))


@pytest.mark.parametrize("response", [HttpResponse(status=204), JsonResponse({"detail": "no"}, status=400)])
def test_an_answer_has_its_length_and_the_id_of_its_request(response: HttpResponse) -> None:
    async def answer(headers: quickly.Headers, body: bytes) -> Any:
        assert (headers[b"x-request-id"], body) == (b"given-by-client", b"ab")
        return NOBODY, response

    quickly.answers(PATH, answer)
    sent, received = asked(pieces(b"a", b"b"), headers=(HOST, (b"x-request-id", b"given-by-client")))
    assert received is None
    start, end = sent
    headers = dict(start["headers"])
    assert (start["status"], headers[b"x-request-id"]) == (response.status_code, b"given-by-client")
    if response.status_code == 400:
        assert json.loads(end["body"]) == {"detail": "no"}
        assert int(headers[b"content-length"]) == len(end["body"])


def test_who_was_let_in_is_forgotten_after_a_second() -> None:
    now = [100.0]
    let_in = quickly.LetIn(clock=lambda: now[0])
    assert let_in.actor(b"Bearer a") is None
    let_in.remember(b"Bearer a", NOBODY, 100.0)
    now[0] += 0.9
    assert let_in.actor(b"Bearer a") is NOBODY
    let_in.remember(b"Bearer a", system("tests"), 99.0)  # was checked earlier, and took longer
    assert let_in.actor(b"Bearer a") is NOBODY
    assert let_in.actor(b"Bearer b") is None
    now[0] += 0.2
    assert let_in.actor(b"Bearer a") is None
    for n in range(2 * quickly.MAX_SENDERS):
        let_in.remember(b"%d" % n, NOBODY, now[0])
    assert len(let_in._actors) == quickly.MAX_SENDERS

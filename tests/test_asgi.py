"""The ASGI application: who answers in which thread."""

from __future__ import annotations

import asyncio
import http.client
import threading
from inspect import iscoroutinefunction

import pytest
import uvicorn
from django.core import signals
from django.http import HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import get_resolver, path

from tests.served import free_port
from tongchou import asgi

threads: list[int] = []
together = threading.Barrier(3)


def where(request):
    threads.append(threading.get_ident())
    return HttpResponse(b"ok")


def meet(request):
    together.wait(20)
    return where(request)


async def _nothing():
    return
    yield b""


ENDLESS = _nothing


def endless(request):
    return StreamingHttpResponse(ENDLESS())


def echo(request):
    return HttpResponse(request.body[::-1])


ended: list[int] = []
urlpatterns = [path("where", where), path("meet", meet), path("endless", endless), path("echo", echo)]


async def get(handler, url, kind="http"):
    sent = []
    scope = {
        "type": kind,
        "method": "GET",
        "path": url,
        "headers": [(b"host", b"127.0.0.1")],
        "query_string": b"",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    arrived = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive():
        for message in arrived:
            return message
        await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await handler(scope, receive, send)
    return sent[0]["status"]


@pytest.fixture
def handler():
    threads.clear()
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]):
        yield asgi.ThreadReusingHandler()


def test_requests_one_after_the_other_share_a_thread(handler):
    async def run():
        return [await get(handler, "/where") for _request in range(5)]

    assert asyncio.run(run()) == [200] * 5
    assert len(set(threads)) == 1


def test_requests_of_a_real_server_share_a_thread(handler):
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(handler, port=port, log_level="error", lifespan="off"))

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for _request in range(5):
            connection.request("GET", "/where")
            assert connection.getresponse().read() == b"ok"
        connection.close()

    async def run():
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(ask)
        server.should_exit = True
        await serving

    asyncio.run(run())
    # The next request may arrive while the loop still has to see the end of the last one: two threads then.
    assert len(set(threads)) <= 2
    assert handler._idle


def test_requests_at_the_same_time_do_not_wait_for_each_other(handler):
    async def run():
        return await asyncio.gather(*(get(handler, "/meet") for _request in range(3)))

    assert asyncio.run(run()) == [200] * 3
    assert len(set(threads)) == 3


def test_no_more_threads_are_kept_than_the_limit(handler, monkeypatch):
    monkeypatch.setattr(asgi, "MAX_IDLE_THREADS", 2)

    async def run():
        await asyncio.gather(*(get(handler, "/meet") for _request in range(3)))

    asyncio.run(run())
    assert len(handler._idle) == 2


def test_an_unknown_page_frees_its_thread(handler):
    assert asyncio.run(get(handler, "/nothing")) == 404
    assert len(handler._idle) == 1


async def talk(handler, url, messages, after=None):
    """Give the messages one by one; after `after` sent messages the client leaves."""
    sent, left = [], asyncio.Event()
    waiting = iter(messages)

    async def receive():
        for message in waiting:
            return message
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if after is not None and len(sent) >= after:
            left.set()
            await asyncio.sleep(0)

    scope = {"type": "http", "method": "POST", "path": url, "headers": [(b"host", b"127.0.0.1")], "query_string": b""}
    await asyncio.wait_for(
        handler({**scope, "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1)}, receive, send), 30
    )
    return sent


def test_a_stream_ends_when_its_client_leaves(handler, monkeypatch):
    ended.clear()
    whole = {"type": "http.request", "body": b"", "more_body": False}
    closed = []
    signals.request_finished.connect(lambda **_more: closed.append(1), weak=False, dispatch_uid="stream")
    try:

        async def lines():
            try:
                while True:
                    yield b"line\n"
                    await asyncio.sleep(0)
            finally:
                ended.append(1)

        monkeypatch.setattr("tests.test_asgi.ENDLESS", lines)
        sent = asyncio.run(talk(handler, "/endless", [whole], after=20))
    finally:
        signals.request_finished.disconnect(dispatch_uid="stream")
    assert sent[0]["status"] == 200
    assert len(sent) < 40
    assert (ended, closed) == ([1], [1])


def test_a_body_in_pieces_arrives_whole_and_a_request_begins_and_ends_once(handler):
    told = []
    signals.request_started.connect(lambda **_more: told.append("begun"), weak=False, dispatch_uid="begun")
    signals.request_finished.connect(lambda **_more: told.append("over"), weak=False, dispatch_uid="over")
    pieces = [{"type": "http.request", "body": b"ab", "more_body": True}, {"type": "http.request", "body": b"c"}]
    try:
        sent = asyncio.run(talk(handler, "/echo", pieces, after=2))
    finally:
        signals.request_started.disconnect(dispatch_uid="begun")
        signals.request_finished.disconnect(dispatch_uid="over")
    assert [message.get("body") for message in sent[1:]] == [b"cba"]
    assert told == ["begun", "over"]


def test_a_client_that_leaves_before_its_body_is_there_gets_nothing(handler):
    assert asyncio.run(talk(handler, "/echo", [{"type": "http.disconnect"}])) == []
    assert len(handler._idle) == 0


def test_other_protocols_are_refused(handler):
    with pytest.raises(ValueError, match="websocket"):
        asyncio.run(get(handler, "/where", kind="websocket"))


def _views(patterns, before=""):
    for each in patterns:
        path = before + str(each.pattern)
        if hasattr(each, "url_patterns"):
            yield from _views(each.url_patterns, path)
        else:
            yield path, each.callback


def test_views_that_are_coroutines_stand_where_the_handler_expects_them() -> None:
    found = [path for path, view in _views(get_resolver().url_patterns) if iscoroutinefunction(view)]
    assert found
    assert all(f"/{path}".startswith(asgi.COROUTINES) for path in found)

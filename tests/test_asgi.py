"""The ASGI application: who answers in which thread."""

from __future__ import annotations

import asyncio
import threading

import pytest
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path

from tongchou import asgi

threads: list[int] = []
together = threading.Barrier(3)


def where(request):
    threads.append(threading.get_ident())
    return HttpResponse(b"ok")


def meet(request):
    together.wait(20)
    return where(request)


urlpatterns = [path("where", where), path("meet", meet)]


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


def test_other_protocols_are_refused(handler):
    with pytest.raises(ValueError, match="websocket"):
        asyncio.run(get(handler, "/where", kind="websocket"))

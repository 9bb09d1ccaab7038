"""What every process of the shop does alike: its leak, its limit of requests, its switches."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tongchou.demo.shop.frame import Frame, Settings
from tongchou.demo.shop.http1 import Request, Response, answer


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Frame]:
    made = Frame(Settings("storefront-2", "storefront", "instance", 0, "1.0.0", str(tmp_path), "token", "", {}))
    yield made
    made.close()


async def nothing(_request: Request) -> Response:
    return answer({})


def get(process: Frame, path: str = "/") -> Response:
    return asyncio.run(process.handle(Request("GET", path, {}, {}, b"")))


def switch(process: Frame, **values: object) -> Response:
    headers = {"authorization": "Bearer token"}
    body = json.dumps(values).encode()
    return asyncio.run(process.handle(Request("POST", "/switches", {}, headers, body)))


def test_a_leak_really_grows_with_requests_up_to_its_limit(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.demo.own_process", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    after_six, after_all, switched_off = json.loads(done.stdout)
    assert after_six > 25_000_000
    assert 50_000_000 < after_all < 90_000_000
    assert switched_off < 30_000_000


def test_a_switch_that_is_no_number_is_refused(process: Frame) -> None:
    assert switch(process, delay_seconds="long").status == 422
    assert asyncio.run(process.handle(Request("POST", "/switches", {}, {}, b"{}"))).status == 401

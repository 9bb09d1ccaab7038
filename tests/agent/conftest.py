"""A platform that only listens: it keeps what agents send and answers as a test says."""

from __future__ import annotations

import gzip
import http.server
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.stub_http import on_loopback

TOKEN = "tc_" + "a" * 40
Answer = Callable[[], tuple[int, dict[str, str], bytes]]


def stored() -> tuple[int, dict[str, str], bytes]:
    return 200, {}, b'{"id": "x", "stored": true}'


@dataclass
class Platform:
    """What came (path, headers, report) and how it is answered."""

    url: str = ""
    answer: Answer = stored
    got: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)


@contextmanager
def listening(tls_in: Path | None = None) -> Iterator[Platform]:
    platform = Platform()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            platform.got.append((self.path, headers, json.loads(gzip.decompress(sent))))
            status, more, body = platform.answer()
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            return

    with on_loopback(Handler, tls_in) as (platform.url, pem):
        if tls_in is not None:
            (tls_in / "ca.pem").write_text(pem)
        yield platform


@pytest.fixture
def platform() -> Iterator[Platform]:
    with listening() as one:
        yield one


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    return file

"""What the agent does with each answer, and how it waits."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.agent.conftest import TOKEN, Platform, listening
from tongchou.agent import run, send
from tongchou.agent.options import options
from tongchou.agent.run import REFUSED, SENT, UNDELIVERED, WRONG, Agent
from tongchou.wire.host import facts


def agent(url: str, token_file: Path, *words: str) -> Agent:
    return Agent(options(["--url", url, "--token-file", str(token_file), *words]))


def test_a_report_is_this_machine_now_with_a_name_of_its_own(platform: Platform, token_file: Path) -> None:
    one = agent(f"{platform.url}/ops", token_file, "--name", "box-1.example.com")
    waits = [one.turn(), one.turn()]
    assert one.exit_code == SENT
    (path, headers, first), (_path, _headers, second) = platform.got
    assert path == "/ops/api/v1/agent/report"
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["content-encoding"] == "gzip"
    assert first["reading"]["machine"]["memory_bytes"] == facts.machine()["memory_bytes"]
    assert first["reading"]["machine"]["hostname"] == first["reading"]["machine"]["fqdn"] == "box-1.example.com"
    assert (first["run"], first["number"], second["number"]) == (second["run"], 1, 2)
    assert all(54 <= wait <= 66 for wait in waits)


def test_over_tls_it_talks_only_to_whom_it_trusts(token_file: Path, tmp_path: Path) -> None:
    with listening(tmp_path) as platform:
        one = agent(platform.url, token_file)
        one.turn()
        assert (one.exit_code, platform.got) == (UNDELIVERED, [])
        agent(platform.url, token_file, "--ca-file", str(tmp_path / "ca.pem")).turn()
        assert len(platform.got) == 1


@pytest.mark.parametrize("status", [401, 403, 422, 413, 302, 404])
def test_a_refusal_is_told_once_with_its_words_and_never_the_token(
    status: int, platform: Platform, token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = b'{"detail": "It is not so.", "field": "reading.version", "remedy": "Do this."}'
    platform.answer = lambda: (status, {"Location": "http://127.0.0.1:9/"}, body)
    one = agent(platform.url, token_file)
    waits = [one.turn(), one.turn(), one.turn()]
    assert one.exit_code == REFUSED
    assert all(wait >= run.REFUSED_SECONDS for wait in waits)
    [line] = [each.getMessage() for each in caplog.records]
    assert "It is not so. / reading.version / Do this." in line
    assert TOKEN not in line
    assert len(platform.got) == 3


def test_what_passes_is_tried_again_later_and_later_and_not_before_the_platform_wants(
    platform: Platform, token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    platform.answer = lambda: (503, {}, b"<html>\x1b[31m busy </html>")
    one = agent(platform.url, token_file)
    waits = [one.turn() for _try in range(12)]
    assert 1 <= waits[0] <= 2
    assert all(150 <= wait <= 300 for wait in waits[8:])
    assert "\x1b" not in caplog.text
    platform.answer = lambda: (429, {"Retry-After": "400"}, b"")
    assert one.turn() >= 400
    platform.answer = lambda: (200, {}, b'{"stored": false}')
    assert 54 <= one.turn() <= 66
    assert "reporting to" in caplog.text
    platform.answer = lambda: (503, {}, b"")
    assert one.turn() <= 2


def test_somebody_elses_answer_is_not_taken_for_the_platforms(platform: Platform, token_file: Path) -> None:
    for body in (b"<html>Welcome</html>", b"[]", b"{}", b"\xff"):
        platform.answer = lambda body=body: (200, {}, body)  # type: ignore[misc]  # bound here
        one = agent(platform.url, token_file)
        one.turn()
        assert one.exit_code == REFUSED


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_talk_that_trickles_is_cut(first: bytes, token_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "WHOLE_SECONDS", 0.5)
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()

        def trickle() -> None:
            guest, _from = door.accept()
            with guest, suppress(OSError):
                guest.sendall(first)
                while True:
                    guest.sendall(b" ")
                    time.sleep(0.05)

        trickling = threading.Thread(target=trickle)
        trickling.start()
        one = agent(f"http://127.0.0.1:{door.getsockname()[1]}", token_file)
        began = time.monotonic()
        one.turn()
        assert one.exit_code != SENT
        assert time.monotonic() - began < 5
        trickling.join()


def test_a_token_is_read_anew_for_each_report(platform: Platform, token_file: Path) -> None:
    one = agent(platform.url, token_file)
    token_file.write_text("tc_" + "b" * 40)
    one.turn()
    assert platform.got[0][1]["authorization"] == "Bearer tc_" + "b" * 40
    token_file.chmod(0o644)
    one.turn()
    assert (one.exit_code, len(platform.got)) == (WRONG, 1)


def test_a_machine_that_cannot_be_read_for_once_is_read_again(
    platform: Platform, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise OSError("no")

    one = agent(platform.url, token_file)
    with monkeypatch.context() as patched:
        patched.setattr(facts, "machine", broken)
        one.turn()
    assert (one.exit_code, platform.got) == (UNDELIVERED, [])
    one.turn()
    assert one.exit_code == SENT

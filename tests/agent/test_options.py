"""What the agent refuses before it reads or sends anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.agent.conftest import TOKEN
from tongchou.agent.options import Options, WrongError, options, token


def told(token_file: Path, *words: str, url: str = "https://tongchou.example") -> Options:
    return options(["--url", url, "--token-file", str(token_file), *words])


def test_an_address_is_taken_apart_and_shown_without_a_secret(token_file: Path) -> None:
    found = told(token_file, url="https://tongchou.example/ops/")
    assert (found.host, found.port, found.path, found.secure) == ("tongchou.example", 443, "/ops", True)
    assert told(token_file, url="http://[::1]:8420").shown == "http://[::1]:8420"


@pytest.mark.parametrize(
    "url",
    [
        "tongchou.example", "ftp://tongchou.example", "https://", "https://me:secret@tongchou.example",
        "https://tongchou.example/?a=b", "https://tongchou.example:99999", "https://tongchou.example/a b",
        "http://tongchou.example", "http://10.0.0.5:8420", "http://localhost.example",
    ],
)  # fmt: skip
def test_an_address_that_will_not_do_or_would_show_the_token_is_refused(url: str, token_file: Path) -> None:
    with pytest.raises(WrongError) as refused:
        told(token_file, url=url)
    assert "--url" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_plain_http_is_for_this_machine_unless_a_person_says_otherwise(token_file: Path) -> None:
    for url in ("http://127.0.0.1:8420", "http://localhost", "http://[::1]"):
        assert not told(token_file, url=url).secure
    assert told(token_file, "--insecure-http", url="http://10.0.0.5").host == "10.0.0.5"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o606, 0o660, 0o666])
def test_a_token_that_others_may_read_or_change_is_refused(mode: int, token_file: Path) -> None:
    token_file.chmod(mode)
    with pytest.raises(WrongError, match="chmod 600") as refused:
        told(token_file)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_token_of_the_owner_and_a_group_that_reads_is_taken(mode: int, token_file: Path) -> None:
    token_file.chmod(mode)
    assert token(token_file) == TOKEN


@pytest.mark.parametrize(
    "body", ["", "hello", "tc_short", f"{TOKEN}\r\nX-Other: 1", f"Bearer {TOKEN}", "tc_" + "é" * 20]
)
def test_what_is_no_token_is_refused_and_not_shown(body: str, token_file: Path) -> None:
    token_file.write_text(body)
    with pytest.raises(WrongError) as refused:
        told(token_file)
    assert TOKEN not in str(refused.value)


def test_a_token_file_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    for file in (tmp_path / "none", tmp_path):
        with pytest.raises(WrongError, match="--token-file"):
            told(file)
    os.mkfifo(tmp_path / "pipe", 0o600)
    writer = os.open(tmp_path / "pipe", os.O_RDWR)  # else opening it to read would wait for somebody who writes
    try:
        with pytest.raises(WrongError, match="holds no API token"):
            told(tmp_path / "pipe")
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    "words", [("--interval", "1"), ("--interval", "nan"), ("--name", "a\nb"), ("--name", "x" * 129)]
)
def test_other_options_are_bounded(words: tuple[str, str], token_file: Path) -> None:
    with pytest.raises(WrongError, match=words[0]):
        told(token_file, *words)


def test_certificates_that_are_none_are_refused(token_file: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(WrongError, match="--ca-file"):
            told(token_file, "--ca-file", str(tmp_path / name))

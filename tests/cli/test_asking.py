"""How commands tell that a server did not answer what they asked."""

from __future__ import annotations

import httpx
import pytest
import typer

from tongchou.cli.asking import NOT_ASKED, NotAskedError, ask, ask_json, asking, client


def answering(status: int, content: bytes) -> httpx.Client:
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, content=content))
    return httpx.Client(base_url="http://inventory.example", transport=transport)


def test_a_refusal_is_told_with_its_field_remedy_and_code() -> None:
    body = b'{"code": "x.y", "field": "kind", "detail": "There is none.", "remedy": "Choose one."}'
    with answering(422, body) as server, pytest.raises(NotAskedError, match=r"^kind: There is none\.$") as refused:
        ask(server, "GET", "/api/v1/kinds")
    assert (refused.value.remedy, refused.value.code) == ("Choose one.", "x.y")


def test_only_who_wants_json_is_refused_other_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    with answering(200, b"10.0.0.1\tweb-1\n") as server, asking():
        assert ask(server, "GET", "/hosts").text == "10.0.0.1\tweb-1\n"
        with pytest.raises(NotAskedError, match="answers 200"):
            ask_json(server, "GET", "/hosts")


def test_it_ends_with_the_exit_code_of_the_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    with pytest.raises(typer.Exit) as ended, asking({"import.refused": 1}):
        raise NotAskedError("Rows are wrong.", "Mend them.", "import.refused")
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "tongchou: Rows are wrong.\n  Mend them.\n"
    with pytest.raises(typer.Exit) as ended, asking({"import.refused": 1}):
        client(None, None, timeout_seconds=1)
    assert ended.value.exit_code == NOT_ASKED
    assert "TONGCHOU_TOKEN" in capsys.readouterr().err

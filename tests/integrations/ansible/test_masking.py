"""No secret, and no part of one that a cut left, is in what is kept of Ansible: while it runs or at its end."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.changes.baseline import MAX_TEXT
from tongchou.changes.playbook_ports import HostResult, Work
from tongchou.integrations.ansible import collecting, events, launch, per_host, playbooks, project
from tongchou.runbooks.mask import masker

SECRET = "canary-one two-canary-three-canary"
HIDE = masker([SECRET])
CUTS = (events.MAX_MESSAGE, per_host.MAX_SHOWN, events.MAX_SAID, events.MAX_DIFF, MAX_TEXT)
# at each place where something is cut, or right at the beginning
places = st.sampled_from((0, *CUTS)).flatmap(lambda cut: st.integers(max(0, cut - len(SECRET) - 4), cut + 2))


def parts(text: str) -> bool:
    """Tell whether anything of the secret is there."""
    return "canary" in text


def result(at: int, **more: Any) -> dict[str, Any]:
    text = "x" * at + SECRET + " rest"
    return {"msg": text, "changed": True, "diff": {"before": "", "after": text}, **more}


def told(kind: str, at: int) -> dict[str, Any]:
    return {"event": kind, "stdout": "", "event_data": {"host": "web-1", "task": f"log in {SECRET}", "res": result(at)}}


def put(folder: Path, listed: Sequence[dict[str, Any]]) -> None:
    (folder / "job_events").mkdir(parents=True, exist_ok=True)
    for number, event in enumerate(listed, 1):
        (folder / "job_events" / f"{number}-e.json").write_text(json.dumps(event))


@given(places, st.sampled_from(["runner_on_ok", "runner_on_failed", "runner_on_unreachable", "runner_item_on_ok"]))
def test_results_of_hosts(at: int, kind: str) -> None:
    kept = per_host.results([told(kind, at)], ["web-1"], HIDE)
    assert kept
    assert not parts(repr(kept))


@given(places)
def test_the_transcript_of_a_step(at: int) -> None:
    listed = [told("runner_on_ok", at), told("runner_on_failed", at), {"event": "error", "stdout": "y" * at + SECRET}]
    story = events.tell(listed, HIDE)
    kept = HIDE([story.as_json(), story.problems, story.said])
    assert "rest" in repr(kept) or at > min(CUTS)
    assert not parts(repr(kept))


def test_a_secret_that_is_replaced_by_another_is_a_difference() -> None:
    diff = {"before": "a\ncanary-old-secret\n", "after": "a\ncanary-new-secret\n", "after_header": "/etc/key"}
    event = {
        "event": "runner_on_ok",
        "event_data": {"host": "web-1", "task": "key", "res": {"changed": True, "diff": diff}},
    }
    hide = masker(["canary-old-secret", "canary-new-secret"])
    (host,) = per_host.results([event], ["web-1"], hide)
    for shown in (host.differences[0].diff, events.tell([event], hide).as_json()["diff"]):
        assert shown.splitlines()[-2:] == ["-••••", "+••••"]
        assert not parts(shown)


@given(places)
def test_texts_of_files(at: int) -> None:
    stat = {"exists": True, "isreg": True}
    content = base64.b64encode(("z" * at + SECRET).encode()).decode()
    listed = [
        {"event": "runner_on_ok", "event_data": {"task": "files", "res": {"results": [{"item": "/a", "stat": stat}]}}},
        {
            "event": "runner_on_ok",
            "event_data": {"task": "texts", "res": {"results": [{"item": "/a", "content": content}]}},
        },
    ]
    assert not parts(repr(collecting.content(listed, HIDE)))


@pytest.mark.parametrize("beyond", [events.MAX_SAID - 4, events.MAX_SAID - len(SECRET) + 1, 480, 10])
def test_the_end_of_what_was_printed(tmp_path: Path, beyond: int) -> None:
    path = tmp_path / "stdout"
    path.write_text("w" * 90_000 + SECRET + "v" * beyond)
    said = events.tail(path, HIDE)
    assert said.endswith("v" * min(beyond, events.MAX_SAID))
    assert not parts(said)


@pytest.mark.django_db
def test_hosts_are_told_masked_while_others_are_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[HostResult] = []
    (tmp_path / "site").mkdir()

    def launched(folder: Path, *_said: Any, tick: Any, **_more: Any) -> int:
        put(folder / "artifacts" / "run", [told("runner_on_failed", 480), told("runner_on_ok", 10)])
        tick()
        assert seen, "nothing was told on the way"
        (folder / "artifacts" / "run" / "stdout").write_text("u" * 100 + SECRET + "t" * 490)
        return 4

    monkeypatch.setattr(launch, "installed", lambda: True)
    monkeypatch.setattr(launch, "launch", launched)
    monkeypatch.setattr(project, "take", lambda *_said: "abc")
    monkeypatch.setattr(playbooks, "allowed", Path)
    host = {"name": "web-1", "connection": "local", "address": "", "port": 22, "user": ""}
    setup = {
        "hosts": {"web-1": host}, "ssh_key": "", "extra_vars": {}, "folder": str(tmp_path / "site"), "playbook": "s.yml",
        "tree_sha256": "abc", "accept_new": False, "timeout_seconds": 5, "forks": 1, "become": False,
        "inventory": {"_meta": {"hostvars": {}}},
    }  # fmt: skip
    outcome = playbooks.PLAYBOOKS.do(Work(setup, ["web-1"], {"login": SECRET}), check=False, watch=seen.extend)
    assert [each.state for each in outcome.hosts] == ["failed"]
    assert not parts(repr(seen))
    assert not parts(repr(outcome))

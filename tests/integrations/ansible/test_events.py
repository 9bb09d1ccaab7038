"""Events of ansible-runner become counts, a bounded transcript and a diff, whatever is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.ansible.events import MAX_TASKS_LENGTH, Story, from_folder
from tongchou.integrations.ansible.events import tell as tell_hidden
from tongchou.runbooks.mask import masker

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


def tell(events: list[dict[str, Any]]) -> Story:
    return tell_hidden(events, masker([]))


def done(task: str, kind: str = "runner_on_ok", host: str = "web-1", **result: Any) -> dict[str, Any]:
    return {"event": kind, "event_data": {"host": host, "task": task, "res": result}}


def test_a_file_and_its_mode_make_two_diffs() -> None:
    diff = [{"before": "a\n", "after": "b\n", "after_header": "/f"}, {"before": {"mode": 1}, "after": {"mode": 2}}]
    text = tell([done("write", changed=True, diff=diff)]).as_json()["diff"]
    assert text.splitlines()[:5] == ["--- web-1: write", "+++ /f", "@@ -1 +1 @@", "-a", "+b"]
    assert '+ "mode": 2' in text


def test_a_loop_tells_each_item_once_and_what_did_not_change_has_no_diff() -> None:
    item = {"changed": True, "diff": {"before": "", "after": "x"}}
    loop = done("loop", changed=True, results=[item, item])
    events = [done("loop", "runner_item_on_ok", **item), done("loop", "runner_item_on_ok", **item), loop]
    assert tell(events).as_json()["diff"].count("+x") == 2
    assert tell([done("same", changed=False, diff={"before": "a", "after": "a"})]).as_json()["diff"] == ""


def test_a_long_story_keeps_its_failures_and_fits() -> None:
    events = [done(f"task {number}", msg="x" * 200) for number in range(500)]
    events += [done("breaks", "runner_on_failed", msg="broken")]
    told = tell(events).as_json()
    assert len(json.dumps(told["tasks"], ensure_ascii=False)) <= MAX_TASKS_LENGTH
    assert told["tasks"][-1] == {"host": "web-1", "task": "breaks", "status": "failed", "message": "broken"}
    assert told["tasks"][0]["task"] == "task 0"
    assert told["tasks_left_out"] == 501 - len(told["tasks"])
    assert told["hosts"] == {"web-1": {"failed": 1, "ok": 500}}


def test_what_is_under_no_log_is_counted_and_nothing_else() -> None:
    hidden = done("hide", censored="hidden", changed=True, diff={"before": "", "after": "secret"}, msg="secret")
    told = tell([hidden, {"event": "playbook_on_stats", "event_data": {"changed": {"web-1": 1}}}]).as_json()
    assert "secret" not in str(told)
    assert told["hosts"] == {"web-1": {"changed": 1}}


def test_half_an_event_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "job_events"
    folder.mkdir()
    (folder / "2-b.json").write_text(json.dumps(done("second")))
    (folder / "10-a.json").write_text(json.dumps(done("tenth")))
    (folder / "3-c.json").write_text('{"event": "runner_on')
    (folder / "4-d-partial.json").write_text("{}")
    (folder / "5-e.json").write_text("[]")
    assert [event["event_data"]["task"] for event in from_folder(tmp_path)] == ["second", "tenth"]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "event": st.sampled_from(
                    ["runner_on_ok", "runner_item_on_ok", "runner_on_failed", "playbook_on_stats", "error", ""]
                ),
                "event_data": JSON
                | st.fixed_dictionaries(
                    {
                        "host": JSON,
                        "task": JSON,
                        "res": JSON
                        | st.fixed_dictionaries({"changed": JSON, "diff": JSON, "msg": JSON, "results": JSON}),
                    }
                ),
            }
        ),
        max_size=5,
    )
)
def test_no_event_breaks_the_telling(events: list[dict[str, Any]]) -> None:
    json.dumps(tell(events).as_json())

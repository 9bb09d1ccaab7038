"""An ansible step against the real ansible-runner: shown first, then done, nothing of a secret left anywhere."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.ansible.conftest import Ansible, Sshd, put_setting
from tongchou.core.registry import implementations
from tongchou.integrations.ansible.runner import ANSIBLE_STEP
from tongchou.runbooks.ports import Completer, Context, Previewer, Runner, StepCall, StepResult

TOKEN = "t0ken-with-{{ jinja }}"
KEY = "-----BEGIN TEST KEY-----\nfirst-line-of-it\nsecond-line-of-it\n-----END TEST KEY-----"


def code(result: StepResult) -> str | None:
    return result.reason.code if result.reason else None


def left_behind(folder: Path) -> list[Path]:
    return [path for path in (folder / "data").rglob("*") if path.is_file() and path.name != "known_hosts"]


def test_it_is_a_runner_that_previews_and_completes() -> None:
    for port in (Runner, Previewer, Completer):
        assert ANSIBLE_STEP in implementations(port)  # type: ignore[type-abstract]  # a Protocol is what it looks for


# --- on this host


def test_shown_then_done_then_nothing_left_to_do(here: Ansible, tmp_path: Path) -> None:
    """Values are data: what looks like a template in a parameter or a secret is written, not evaluated."""
    here.secrets = {"token": TOKEN, "key": KEY}
    proof = tmp_path / "proof"
    step: dict[str, Any] = {
        "tasks": [
            {"name": "write", "copy": {"content": "{{ token }}\n{{ who }}\n{{ key }}\n", "dest": "{{ dest }}/f.txt"}},
            {"name": "hide", "command": "echo {{ token | quote }}", "no_log": True},
            {"name": "say", "debug": {"msg": "{{ token }} of {{ who }}"}},
            {"name": "allowed to fail", "command": "false", "ignore_errors": True},
        ],
        "extra_vars": {
            "token": "${secret.token}",
            "key": "${secret.key}",
            "who": "{{ lookup('pipe', 'touch " + str(proof) + "') }}",
            "dest": str(tmp_path),
        },
    }
    shown = here.preview(**step)
    assert code(shown) is None, shown.reason
    assert shown.output["changes"] is True
    assert f"+++ {tmp_path}/f.txt" in shown.output["diff"]
    assert "+{{ lookup('pipe'" in shown.output["diff"]
    assert not (tmp_path / "f.txt").exists()

    done = here.run(**step)
    assert code(done) is None, done.reason
    written = (tmp_path / "f.txt").read_text()
    assert written == f"{TOKEN}\n{step['extra_vars']['who']}\n{KEY}\n"
    assert [(task["task"], task["status"]) for task in done.output["tasks"]] == [
        ("write", "changed"),
        ("hide", "ok"),
        ("say", "ok"),
        ("allowed to fail", "ignored"),
    ]
    assert done.output["hosts"] == {"here": {"changed": 2, "ok": 1, "ignored": 1}}
    assert [task["task"] for task in done.output["tasks"] if task.get("hidden")] == ["hide"]
    assert done.output["says"]["en"] == "here: 2 changed, 1 as they should be, 1 failed and ignored"
    again = here.preview(**step)
    assert code(again) is None
    assert again.output["diff"].count("+••••") == 2  # before the approval nothing knows what the secrets are
    for result in (shown, done, again):
        assert not any(secret in str(result) for secret in (TOKEN, "first-line-of-it", "second-line-of-it"))
    assert not proof.exists()
    assert left_behind(tmp_path) == []


def test_before_the_approval_a_task_cannot_spell_a_secret_out(here: Ansible) -> None:
    here.secrets = {"token": "abcdefgh-of-the-shop"}
    step = {"tasks": [{"debug": {"msg": "{{ token | reverse }}"}}], "extra_vars": {"token": "${secret.token}"}}
    backwards = here.secrets["token"][::-1]
    assert backwards not in str(here.preview(**step))
    assert backwards in str(here.run(**step))  # what was approved may do so: the approver has read it


def test_before_the_approval_no_task_brings_back_what_stands_in_a_file(here: Ansible, tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("root:of-the-target\nbin:x\n")
    step = {
        "tasks": [
            {"name": "read", "slurp": {"src": f"{tmp_path}/shadow"}, "register": "file"},
            {"debug": {"msg": "{{ file.content | default('') | b64decode }}"}},
            {"block": [{"find": {"paths": str(tmp_path), "contains": "root:of.*"}, "register": "found"}]},
            {"debug": {"msg": "matched {{ found.matched | default(0) }}"}},
            {"lineinfile": {"path": f"{tmp_path}/shadow", "line": "more"}, "register": "line"},
            {"debug": {"msg": "{{ line }}"}},
            {
                "block": [{"lineinfile": {"path": f"{tmp_path}/shadow", "line": "no"}, "failed_when": True}],
                "rescue": [{"debug": {"msg": "{{ ansible_failed_result }}"}}],
            },
            {"copy": {"content": "new\n", "dest": f"{tmp_path}/new"}},
        ]
    }
    shown = here.preview(**step)
    assert code(shown) is None, shown.reason
    assert "of-the-target" not in str(shown)
    assert "matched 0" in str(shown.output["tasks"])
    assert shown.output["after_approval"] == ["read", "find"]
    assert [task["status"] for task in shown.output["tasks"]].count("skipped") == 2
    assert "+new" in shown.output["diff"]
    done = here.run(**step)
    assert code(done) is None, done.reason
    assert "root:of-the-target" in str(done.output["tasks"])
    assert "matched 1" in str(done.output["tasks"])
    assert "after_approval" not in done.output


def test_the_process_has_nothing_of_the_platform_and_nobody_else_can_read_its_files(
    here: Ansible, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONGCHOU_SECRET_KEY", "of-the-platform")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent")
    here.secrets = {"token": TOKEN}
    scratch = tmp_path / "data" / "ansible" / "scratch"
    looks = f"env > {tmp_path}/env; ps -eo args > {tmp_path}/ps; find {scratch} -type f -printf '%m %f\\n' > {tmp_path}/files"
    result = here.run(tasks=[{"shell": looks}], extra_vars={"t": "${secret.token}"})
    assert code(result) is None, result.reason
    environment = (tmp_path / "env").read_text()
    assert "PATH=" in environment
    assert not any(word in environment for word in ("TONGCHOU", "DJANGO", "SSH_AUTH_SOCK", "of-the-platform"))
    assert "ansible-playbook" in (tmp_path / "ps").read_text()
    assert "t0ken" not in (tmp_path / "ps").read_text()
    modes = dict(reversed(line.split(" ", 1)) for line in (tmp_path / "files").read_text().splitlines())
    assert {modes[name] for name in ("extravars", "hosts.json", "step.yml")} == {"600"}
    assert oct((tmp_path / "data" / "ansible" / "scratch").stat().st_mode)[-3:] == "700"


def test_its_time_is_over_and_nothing_goes_on(here: Ansible, tmp_path: Path) -> None:
    """Ansible's workers have sessions of their own; the keeper finds them all the same."""
    pid, late = tmp_path / "pid", tmp_path / "late"
    for seconds in (6, 40):  # a busy machine may need longer to get to the task at all
        began = time.monotonic()
        tasks = [{"name": "sleeps", "shell": f"echo $$ > {pid}; sleep 60; touch {late}"}]
        result = here.run(tasks=tasks, timeout_seconds=seconds)
        assert code(result) == "ansible_timeout"
        assert time.monotonic() - began < seconds + 10
        if pid.exists():
            break
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
    assert not late.exists()
    assert left_behind(tmp_path) == []


def test_a_failure_is_told_and_in_a_preview_refuses_nothing(here: Ansible) -> None:
    tasks = [{"name": "look", "assert": {"that": ["1 == 2"], "fail_msg": "not so"}}]
    failed = here.run(tasks=tasks)
    assert (code(failed), "look: not so" in str(failed.reason)) == ("ansible_failed", True)
    shown = here.preview(tasks=tasks)
    assert shown.reason is None
    assert shown.output["failed_in_check"] is True
    assert "not so" in shown.output["says"]["en"]
    assert "检查模式" in shown.output["says"]["zh"]


# --- playbooks in the project folder


@pytest.fixture
def folder(here: Ansible, tmp_path: Path) -> Path:
    found = tmp_path / "project"
    (found / "roles" / "web" / "tasks").mkdir(parents=True)
    (found / "site.yml").write_text("- hosts: web\n  gather_facts: false\n  roles: [web]\n")
    (found / "other.yml").write_text("- hosts: localhost\n  gather_facts: false\n  tasks: [{command: 'true'}]\n")
    role = "- copy: {content: 'one', dest: '{{ dest }}/role.txt'}\n"
    (found / "roles" / "web" / "tasks" / "main.yml").write_text(role)
    put_setting("ansible.project", str(found))
    return found


def test_what_was_altered_after_the_plan_is_not_run(here: Ansible, folder: Path, tmp_path: Path) -> None:
    """A role counts as much as the playbook; a step cannot name what the plan did not hash."""
    step = {"playbook": "site.yml", "groups": ["web"], "extra_vars": {"dest": str(tmp_path)}}
    planned = here.step(**step)
    assert ANSIBLE_STEP.validate("ansible", planned) == []
    done = ANSIBLE_STEP.run(StepCall("s", planned, "run:0", False), Context())
    assert (code(done), (tmp_path / "role.txt").read_text()) == (None, "one")
    role = folder / "roles" / "web" / "tasks" / "main.yml"
    role.write_text(role.read_text().replace("one", "two"))
    altered = ANSIBLE_STEP.run(StepCall("s", planned, "run:0", False), Context())
    assert (code(altered), (tmp_path / "role.txt").read_text()) == ("ansible_altered", "one")
    assert here.step(**step)["project_sha256"] != planned["project_sha256"]


def test_a_play_for_localhost_does_not_touch_the_platforms_host(here: Ansible, folder: Path) -> None:
    assert code(here.run(playbook="other.yml")) == "ansible_no_host"


def test_what_ansible_itself_says_is_passed_on(here: Ansible, folder: Path) -> None:
    (folder / "broken.yml").write_text("- hosts: all\n  no_such_keyword: 1\n")
    broken = here.run(playbook="broken.yml")
    assert (code(broken), "no_such_keyword" in str(broken.reason)) == ("ansible_broken", True)


# --- over SSH


def test_over_ssh_with_a_key_that_does_not_stay(sshd: Sshd, tools: None, tmp_path: Path) -> None:
    remote = sshd.ansible()
    step = {
        "tasks": [{"name": "write", "copy": {"content": "hello\n", "dest": f"{tmp_path}/remote.txt"}}],
        "ssh_key": "${secret.deploy-key}",
    }
    assert remote.problems(**step) == []
    shown = remote.preview(**step)
    assert (code(shown), "+hello" in shown.output["diff"]) == (None, True), shown.reason
    assert not (tmp_path / "remote.txt").exists()
    done = remote.run(**step)
    assert (code(done), (tmp_path / "remote.txt").read_text()) == (None, "hello\n"), done.reason
    assert not any(line in str((shown, done)) for line in sshd.key.splitlines()[1:-1])
    assert left_behind(tmp_path) == []


def test_another_host_key_than_the_known_one_is_not_trusted(sshd: Sshd, tools: None, tmp_path: Path) -> None:
    step = {"tasks": [{"ping": None}], "ssh_key": "${secret.deploy-key}"}
    forged = sshd.ansible(host_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0aHIbQh1XgQyV4ZrWkrR5d7QfpwGkBR0Q8u5y2wAbc")
    refused = forged.preview(**step)
    assert code(refused) == "ansible_unreachable"
    assert "host key has just been changed" in str(refused.reason)


def test_a_new_host_is_accepted_once_and_kept_to(sshd: Sshd, tools: None, tmp_path: Path) -> None:
    new = sshd.ansible(host_key="")
    step = {"tasks": [{"ping": None}], "ssh_key": "${secret.deploy-key}"}
    assert any("host_key" in problem for problem in new.problems(**step))
    assert code(new.run(**step, accept_new=True)) is None
    known = tmp_path / "data" / "ansible" / "known_hosts"
    assert sshd.host_key in known.read_text()
    known.write_text(known.read_text().replace(sshd.host_key[-12:-4], "AAAAAAAA"))
    assert code(new.run(**step, accept_new=True)) == "ansible_unreachable"


def test_a_host_that_does_not_answer_refuses_the_run(sshd: Sshd, tools: None, settings: Any) -> None:
    step = {"tasks": [{"ping": None}], "ssh_key": "${secret.deploy-key}"}
    gone = sshd.ansible(ansible_port=1).preview(**step)
    assert (code(gone), "refused" in str(gone.reason).lower()) == ("ansible_unreachable", True)
    settings.HTTP_ALLOW = []
    guarded = sshd.ansible().preview(**step)
    assert (code(guarded), "TONGCHOU_HTTP_ALLOW" in str(guarded.reason)) == ("ansible_refused", True)


def test_a_missing_tool_is_told_before_and_at_the_run(tools: None, settings: Any, tmp_path: Path) -> None:
    settings.ANSIBLE_RUNNER = tmp_path / "nowhere" / "ansible-runner"
    put_setting("ansible.local", True)
    ansible = Ansible({"name": "here", "ansible_connection": "local"})
    assert "make tools" in ansible.problems(tasks=[{"ping": None}])[0]
    for result in (ansible.preview(tasks=[{"ping": None}]), ansible.run(tasks=[{"ping": None}])):
        assert (code(result), "make tools" in str(result.reason)) == ("ansible_missing", True)

"""What a baseline watches is read by real modules over a real sshd; the words of modules as they come; no secret kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.changes.playing import TESTS
from tests.integrations.ansible.namespaces import Hosts, hosts  # noqa: F401  # a fixture
from tongchou.changes import baseline_actions, baseline_reads
from tongchou.changes.baseline_actions import Draft
from tongchou.changes.models_baselines import Snapshot
from tongchou.changes.models_drift import Drift
from tongchou.core import secrets
from tongchou.integrations.ansible import collecting
from tongchou.inventory.models import Resource
from tongchou.runbooks.mask import masker

CANARY = "canary-in-a-file-71"


def event(task: str, **result: Any) -> dict[str, Any]:
    return {"event": "runner_on_ok", "event_data": {"host": "a", "task": task, "res": result}}


def test_words_of_the_modules() -> None:
    stat = {"exists": True, "isreg": True, "mode": "0644", "pw_name": "root", "gr_name": "root", "checksum": "ab"}
    told = [
        event("files", results=[{"item": "/a", "stat": stat}, {"item": "/b", "stat": {"exists": False}}]),
        event("texts", results=[{"item": "/a", "content": "aGVsbG8="}, {"item": "/b", "failed": True}]),
        event("packages", ansible_facts={"packages": {"vim": [{"version": "2:9.0", "release": "1"}, {"version": "3"}]}}),
        event("services", ansible_facts={"services": {"ssh.service": {"state": "running", "status": "enabled"}}}),
        event("users", ansible_facts={"getent_passwd": {"root": ["x", "0", "0", "root", "/root", "/bin/bash"]}}),
        event("groups", ansible_facts={"getent_group": {"adm": ["x", "4", "b,a"], "odd": None}}),
        event("sysctl", stdout="vm.swappiness = 10\nnet.x =\t1  2"),
        event("listening", stdout="tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* \nudp UNCONN 0 0 127.0.0.1:53 0.0.0.0:* \n"
              "tcp LISTEN 0 5 [::]:80 [::]:* \n"),
    ]  # fmt: skip
    assert collecting.content(told, masker([])) == {
        "files": {
            "/a": {"type": "file", "mode": "0644", "owner": "root", "group": "root", "sha256": "ab", "text": "hello"},
            "/b": "absent",
        },
        "packages": {"vim": "2:9.0-1,3"},
        "services": {"ssh.service": {"enabled": True, "active": True}},
        "users": {"root": {"uid": "0", "gid": "0", "home": "/root", "shell": "/bin/bash"}},
        "groups": {"adm": {"gid": "4", "members": ["a", "b"]}, "odd": {"gid": "", "members": []}},
        "sysctl": {"vm.swappiness": "10", "net.x": "1 2"},
        "listening": {"tcp/22": True, "tcp/80": True},
    }


def test_only_what_is_watched_is_asked_and_only_a_showable_file_is_read() -> None:
    (play,) = collecting.play({"files": ["/etc/motd", "/etc/key"]}, ["/etc/mo*"])
    assert [task["name"] for task in play["tasks"]] == ["files", "texts"]
    assert play["tasks"][1]["loop"] == ["/etc/motd"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.soak
def test_hosts_are_looked_at_compared_and_found_as_drift(
    tools: None,
    hosts: Hosts,  # noqa: F811  # pytest's way
    tmp_path: Path,
) -> None:
    hosts.record("web-1", "web-2")
    secrets.put(actor=TESTS, name="deploy-key", value=(hosts.folder / "user").read_text())
    for name in ("web-1", "web-2"):
        hosts.sh(name, f"echo hello > /srv/motd; echo {CANARY} > /srv/key; chmod 600 /srv/key")
    watch = {
        "files": ["/srv/motd", "/srv/key", "/srv/none"], "packages": ["bash"], "sysctl": ["vm.swappiness"],
        "services": ["*"], "users": ["root"], "groups": ["root"], "listening": True,
    }  # fmt: skip
    draft = Draft("kind=host", watch, showable=("/srv/motd",), ssh_key="deploy-key", drift_after=1)
    row = baseline_actions.put(actor=TESTS, name="web", draft=draft, owner=None)
    baseline_actions.look(row.pk)
    row.refresh_from_db()
    assert row.problem == ""
    one, two = Resource.objects.get(name="web-1"), Resource.objects.get(name="web-2")
    content = Snapshot.objects.get(resource=one).content
    assert content["files"]["/srv/motd"]["text"] == "hello\n"
    assert content["files"]["/srv/key"]["sha256"] == hashlib.sha256(f"{CANARY}\n".encode()).hexdigest()
    assert content["files"]["/srv/none"] == "absent"
    assert (content["users"]["root"]["uid"], content["listening"]["tcp/2222"]) == ("0", True)
    assert content["sysctl"]["vm.swappiness"].isdigit()
    assert CANARY not in str(list(Snapshot.objects.values_list("content", flat=True)))
    assert baseline_reads.between(row, one.pk, two.pk)[2] == []
    row = baseline_actions.take(actor=TESTS, row=row, resource_id=one.pk)
    hosts.sh("web-2", "chmod 644 /srv/key")
    baseline_actions.look(row.pk)
    item = Drift.objects.get()
    assert (item.resource, item.path, item.expected, item.observed) == (two, "files /srv/key mode", "0600", "0644")
    hosts.sh("web-2", "chmod 600 /srv/key")
    baseline_actions.look(row.pk)
    item.refresh_from_db()
    assert item.state == "cleared"

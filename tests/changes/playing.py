"""A stand-in for who runs playbooks: hosts whose differences a test says, and a project of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tongchou.changes import playbook_actions, playbook_runs
from tongchou.changes.models_playbooks import Playbook
from tongchou.changes.playbook_actions import Draft
from tongchou.changes.playbook_ports import Difference, HostResult, Outcome, Playbooks, Watch, Work
from tongchou.core import settings_store
from tongchou.core.access import system
from tongchou.core.models import Team
from tongchou.core.problems import Invalid
from tongchou.integrations.ansible import playbook_step
from tongchou.inventory import actions as inventory

TESTS = system("tests")


class KilledError(BaseException):
    """The process dies here."""


@dataclass
class Player(Playbooks):
    """Satisfies changes.Playbooks. `wrong`: host -> what is there; `state`: how a host answers instead of "ok"."""

    wrong: dict[str, str] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)
    text: str = "v1"
    calls: list[tuple[bool, list[str]]] = field(default_factory=list)
    dies_at: str = ""
    looks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def files(self, folder: str) -> Sequence[str]:
        return ["site.yml"]

    def tree(self, folder: str, playbook: str) -> str:
        if not folder.startswith("/srv/projects/"):
            raise Invalid("playbook.outside", "outside", field="folder", value=folder)
        return hashlib.sha256(self.text.encode()).hexdigest()

    def hosts(
        self, targets: Mapping[str, Mapping[str, Any]], *, accept_new: bool, ssh_key: bool
    ) -> tuple[dict[str, dict[str, Any]], list[str]]:
        return {name: {"name": name, "address": str(each["name"])} for name, each in targets.items()}, []

    def do(self, work: Work, *, check: bool, watch: Watch | None = None) -> Outcome:
        self.calls.append((check, list(work.limit)))
        if work.setup["tree_sha256"] != self.tree(work.setup["folder"], ""):
            return Outcome(problem="altered")
        if not check and self.dies_at in work.limit:
            raise KilledError
        found = []
        for name in work.limit:
            there = self.wrong.get(name)
            state = self.state.get(name, "changed" if there is not None else "ok")
            differences = [Difference("/etc/motd", there, "hello", f"-{there}\n+hello")] if there is not None else []
            counts = {"changed": len(differences), "failed": int(state == "failed")}
            found.append(HostResult(name, state, counts, [], differences if state == "changed" else [], ""))
            if not check and state == "changed":
                self.wrong.pop(name)
        return Outcome(found)

    def collect(
        self, work: Work, *, watch: Mapping[str, Any], showable: Sequence[str]
    ) -> tuple[dict[str, dict[str, Any]], dict[str, str], str]:
        found = {name: self.looks[name] for name in work.limit if name in self.looks}
        return found, {name: "refused" for name in work.limit if name not in found}, ""


def install(monkeypatch: pytest.MonkeyPatch) -> Player:
    """Let this player run playbooks."""
    player = Player()
    for module in (playbook_actions, playbook_runs):
        monkeypatch.setattr(module, "playbooks", lambda: player)
    monkeypatch.setattr(playbook_step, "PLAYBOOKS", player)
    return player


def project(hosts: int = 4, *, owner: Team | None = None, name: str = "site", **said: Any) -> Playbook:
    """A project of so many hosts, w-1 and so on, on which execution is allowed."""
    for number in range(1, hosts + 1):
        inventory.create_resource(actor=TESTS, kind="host", name=f"w-{number}", owner=owner)
    for key, value in (("execution.enabled", True), ("execution.targets", ["kind=host"])):
        settings_store.put(actor=TESTS, key=key, value=value)
    draft = Draft("/srv/projects/site", "site.yml", "kind=host", **{"batches": (1, "50%"), "drift_after": 1, **said})
    return playbook_actions.put(actor=TESTS, name=name, draft=draft, owner=owner)

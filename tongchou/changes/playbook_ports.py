"""What the world must bring for Ansible projects: `changes.Playbooks`, implemented in integrations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True)
class Difference:
    """What a task changed, or would: a path or the task's name, the value before and after, the diff."""

    path: str
    before: str = ""
    after: str = ""
    diff: str = ""


@dataclass(frozen=True)
class HostResult:
    """What came of one host. `state`: a models_playbooks.HostState; `message`: the task it is at, or why it failed."""

    name: str
    state: str
    counts: Mapping[str, int] = field(default_factory=dict)
    tasks: Sequence[Mapping[str, Any]] = ()
    differences: Sequence[Difference] = ()
    message: str = ""

    @property
    def diff(self) -> str:
        """All diffs, one after the other."""
        return "\n".join(each.diff for each in self.differences if each.diff)


@dataclass(frozen=True)
class Work:
    """One call of Ansible. `setup`: see playbook.setup_of; `limit`: which of its hosts; `secrets` by name, in clear."""

    setup: Mapping[str, Any]
    limit: Sequence[str]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Outcome:
    """What came of a call: each host that was spoken of, masked; `problem`: why the whole failed ("": it did not)."""

    hosts: Sequence[HostResult] = ()
    problem: str = ""


Watch = Callable[[Sequence[HostResult]], None]


@runtime_checkable
class Playbooks(Protocol):
    """Runs playbooks of folders that an administrator allowed."""

    def files(self, folder: str) -> Sequence[str]:
        """The playbooks of a folder, by name; a Problem says why it may not be used."""

    def tree(self, folder: str, playbook: str) -> str:
        """The SHA-256 over every file of the folder; a Problem says what is wrong with it or the playbook's name."""

    def hosts(
        self, targets: Mapping[str, Mapping[str, Any]], *, accept_new: bool, ssh_key: bool
    ) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """How each host (by its inventory name) is reached, checked, and what forbids going there."""

    def do(self, work: Work, *, check: bool, watch: Watch | None = None) -> Outcome:
        """Run it, or only `--check --diff`; `watch` hears every second or so how far each host is.

        Refuses (in `problem`) when the folder is not the one that `setup` has the hash of.
        """

    def collect(
        self, work: Work, *, watch: Mapping[str, Any], showable: Sequence[str]
    ) -> tuple[dict[str, dict[str, Any]], dict[str, str], str]:
        """Read what a baseline watches, altering nothing: host to content, host to why not, why the whole failed."""

"""ansible-runner's private data folder for one step: for the owner only, gone afterwards, swept after a kill."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from tongchou.core import private_folders
from tongchou.inventory.given.ansible import UNSAFE


class _Unsafe(str):
    """Ansible takes such a text as it is: `{{ ... }}` in it is never evaluated."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"'))


def _unsafe(value: Any) -> Any:
    if isinstance(value, str):
        return _Unsafe(value)
    if isinstance(value, Mapping):
        return {str(key): _unsafe(item) for key, item in value.items()}
    return [_unsafe(item) for item in value] if isinstance(value, list) else value


def private_folder(root: Path) -> AbstractContextManager[Path]:
    """A fresh folder of mode 0700 as ansible-runner wants it, removed on the way out whatever happens."""
    return private_folders.private_folder(root, ("env", "home", "inventory", "project", "tmp"))


def put(path: Path, text: str) -> Path:
    """Write a text that only the owner can read, never readable by others in between."""
    return private_folders.put(path, text.encode())


def put_variables(folder: Path, variables: Mapping[str, Any]) -> None:
    """Extra variables as a file, every text in them marked as data."""
    put(folder / "env" / "extravars", yaml.dump(_unsafe(variables), Dumper=_Dumper, allow_unicode=True, width=10**9))


def put_inventory(folder: Path, inventory: Mapping[str, Any]) -> None:
    """The inventory as JSON."""
    put(folder / "inventory" / "hosts.json", json.dumps(inventory))


def put_many(folder: Path, inventory: Mapping[str, Any]) -> None:
    """The inventory of many hosts as YAML: what is marked as text that is no template stays that."""
    text = yaml.dump(_marked(inventory), Dumper=_Dumper, allow_unicode=True, width=10**9)
    put(folder / "inventory" / "hosts.yml", text)


def _marked(value: Any) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {UNSAFE}:
            return _Unsafe(value[UNSAFE])
        return {str(key): _marked(item) for key, item in value.items()}
    return [_marked(item) for item in value] if isinstance(value, list | tuple) else value


def put_tasks(folder: Path, tasks: Any, *, gather_facts: bool) -> str:
    """A playbook of one play around the tasks of a step; its name."""
    play = [{"hosts": "all", "gather_facts": gather_facts, "tasks": tasks}]
    put(folder / "project" / "step.yml", yaml.safe_dump(play, allow_unicode=True, sort_keys=False, width=10**9))
    return "step.yml"


def put_key(folder: Path, key: str) -> Path:
    """A private key as OpenSSH wants it: lines end in a newline, the last one too."""
    return put(folder / "key", key.replace("\r\n", "\n").strip() + "\n")

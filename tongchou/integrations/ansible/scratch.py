"""ansible-runner's private data folder for one step: for the owner only, gone afterwards, swept after a kill."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

MINUTE = 60.0


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


def sweep(root: Path) -> None:
    """Remove folders whose process was killed: nobody holds their lock any more.

    Not those made or filled within the last minute: their lock may be there and not taken yet.
    """
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            if time.time() - folder.stat().st_mtime <= MINUTE:
                continue
            with (folder / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue
        except FileNotFoundError:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_folder(root: Path) -> Iterator[Path]:
    """A fresh folder of mode 0700, removed on the way out whatever happens."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep(root)
    folder = root / uuid.uuid4().hex
    folder.mkdir(mode=0o700)
    try:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for name in ("env", "home", "inventory", "project", "tmp"):
                (folder / name).mkdir(mode=0o700)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put(path: Path, text: str) -> Path:
    """Write a file that only the owner can read, never readable by others in between."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def put_variables(folder: Path, variables: Mapping[str, Any]) -> None:
    """Extra variables as a file, every text in them marked as data."""
    put(folder / "env" / "extravars", yaml.dump(_unsafe(variables), Dumper=_Dumper, allow_unicode=True, width=10**9))


def put_inventory(folder: Path, inventory: Mapping[str, Any]) -> None:
    """The inventory as JSON."""
    put(folder / "inventory" / "hosts.json", json.dumps(inventory))


def put_tasks(folder: Path, tasks: Any, *, gather_facts: bool) -> str:
    """A playbook of one play around the tasks of a step; its name."""
    play = [{"hosts": "all", "gather_facts": gather_facts, "tasks": tasks}]
    put(folder / "project" / "step.yml", yaml.safe_dump(play, allow_unicode=True, sort_keys=False, width=10**9))
    return "step.yml"


def put_key(folder: Path, key: str) -> Path:
    """A private key as OpenSSH wants it: lines end in a newline, the last one too."""
    return put(folder / "key", key.replace("\r\n", "\n").strip() + "\n")

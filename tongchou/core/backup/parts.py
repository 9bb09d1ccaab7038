"""What belongs to a backup beside the relational store: rooms register it in their `keeping.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol


class Sink(Protocol):
    """Takes the files of a part."""

    def add(self, name: str, path: Path) -> None:
        """Take a file, which may be deleted afterwards."""
        ...


def _nothing() -> None:
    """All of the store is in its folders."""


@dataclass(frozen=True, slots=True)
class Part:
    """One store. Everything acknowledged before `dump` is called is in what it adds.

    `dump(sink, scratch)` adds files named `<name>/...` (it may use the folder `scratch`) and returns counts;
    `load(folder, facts)` fills the empty store from the files of `<name>/` and returns counts of what is there now;
    `paths()` are the folders and files of this store on this host, which a restore moves aside first. For a store that
    no folder of this host holds, `check()` refuses (a Problem) one that is not empty, before anything is changed, and
    `undo()` empties what `load` began to fill, when that or a later step fails.
    """

    name: str
    dump: Callable[[Sink, Path], dict[str, Any]]
    load: Callable[[Path, dict[str, Any]], dict[str, Any]]
    paths: Callable[[], list[Path]]
    check: Callable[[], None] = _nothing
    undo: Callable[[], None] = _nothing


_parts: dict[str, Part] = {}
_stale: dict[str, timedelta] = {}
_after: list[Callable[[], dict[str, Any]]] = []


def register(part: Part) -> None:
    """Add a store to every backup."""
    _parts[part.name] = part


def all_parts() -> list[Part]:
    """Return the registered stores by name."""
    return [_parts[name] for name in sorted(_parts)]


def stale_after(job_name: str, age: timedelta) -> None:
    """Say that jobs of this name that are older at a restore are not run any more: the world has moved on."""
    _stale[job_name] = age


def stale() -> dict[str, timedelta]:
    """Return the jobs that grow stale, with the age."""
    return dict(_stale)


def after_restore(function: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Register what a room does once to its restored rows; it returns what it did, for the ledger."""
    _after.append(function)
    return function


def followups() -> list[Callable[[], dict[str, Any]]]:
    """Return what rooms do after a restore."""
    return list(_after)

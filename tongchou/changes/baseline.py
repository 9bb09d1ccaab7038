"""What a baseline watches and expects, and how two of them differ. Pure.

Content is a mapping of sections to things to values, e.g. {"files": {"/etc/motd": {"mode": "0644", "sha256": "..."}},
"packages": {"sudo": "1.9"}, "sysctl": {"vm.swappiness": "10"}, "services": {"ssh.service": {"active": true}},
"users": {"root": {"uid": 0}}, "groups": {"adm": {"gid": 4}}, "listening": {"tcp/22": true}}. "absent" stands for a
thing that is not there; a value that is left out is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

SECTIONS = ("files", "packages", "sysctl", "services", "users", "groups", "listening")
PATTERNS = ("packages", "services", "users", "groups")  # watched by patterns; files and sysctl by name
ABSENT = "absent"
MAX_WATCHED = {"files": 200, "sysctl": 200}
MAX_THINGS = 5_000  # of a section
MAX_TEXT = 16_000  # characters of a showable file
_PATH = re.compile(r"/[^\0\n\"'{}%*?\[\]]{1,500}")
_SYSCTL = re.compile(r"[a-z0-9_.\-/]{1,120}")
_PATTERN = re.compile(r"[\w.*?@:+\-\[\]]{1,200}")
FACETS = {
    "files": frozenset({"mode", "owner", "group", "sha256", "text", "type"}),
    "services": frozenset({"enabled", "active"}),
    "users": frozenset({"uid", "gid", "home", "shell"}),
    "groups": frozenset({"gid", "members"}),
}


def watch_problem(watch: Any) -> str:
    """The place in what is watched that does not fit; "" when all does."""
    if not isinstance(watch, Mapping) or not watch:
        return "watch"
    for section, listed in watch.items():
        if section == "listening":
            if not isinstance(listed, bool):
                return str(section)
            continue
        shape = _PATH if section == "files" else _SYSCTL if section == "sysctl" else _PATTERN
        if section not in SECTIONS or not isinstance(listed, list) or len(listed) > MAX_WATCHED.get(section, 200):
            return str(section)
        wrong = next((each for each in listed if not isinstance(each, str) or not shape.fullmatch(each)), None)
        if wrong is not None or any(".." in str(each).split("/") for each in listed):
            return f"{section}: {wrong}"
    return ""


def content_problem(content: Any) -> str:
    """The place in what is expected that does not fit; "" when all does."""
    if not isinstance(content, Mapping):
        return "expected"
    for section, things in content.items():
        if section not in SECTIONS or not isinstance(things, Mapping) or len(things) > MAX_THINGS:
            return str(section)
        for name, value in things.items():
            facets = FACETS.get(section)
            plain = isinstance(value, str | bool | int)
            fits = value == ABSENT or (plain if facets is None else isinstance(value, Mapping) and set(value) <= facets)
            if not fits:
                return f"{section}.{name}"
    return ""


def flat(content: Mapping[str, Any]) -> dict[str, str]:
    """Each value by its path: `files /etc/motd mode` -> `0644`."""
    return dict(_flat(content))


def _flat(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section in SECTIONS:
        for name, value in sorted(content.get(section, {}).items()):
            if isinstance(value, Mapping):
                for facet, each in sorted(value.items()):
                    yield f"{section} {name} {facet}", said(each)
            else:
                yield f"{section} {name}", said(value)


def said(value: Any) -> str:
    """A value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(sorted(map(str, value)))
    return str(value)


def differences(expected: Mapping[str, Any], observed: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(path, expected, observed) of all that is expected and is not so. What is not expected may be anything."""
    out = []
    for section in SECTIONS:
        there = observed.get(section, {})
        for name, value in sorted(expected.get(section, {}).items()):
            out += _of_thing(f"{section} {name}", value, there.get(name, ABSENT))
    return out


def _of_thing(path: str, wanted: Any, there: Any) -> list[tuple[str, str, str]]:
    if not isinstance(wanted, Mapping):
        found = ABSENT if there == ABSENT else "present" if isinstance(there, Mapping) else said(there)
        fits = found == said(wanted) or (wanted == "present" and found != ABSENT)
        return [] if fits else [(path, said(wanted), found)]
    if not isinstance(there, Mapping):
        return [(path, "present", said(there))]
    pairs = [(facet, said(each), said(there.get(facet, ABSENT))) for facet, each in sorted(wanted.items())]
    return [(f"{path} {facet}", each, found) for facet, each, found in pairs if each != found]


def between(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(path, value there, value here) of all in which two hosts differ."""
    left, right = flat(one), flat(other)
    paths = sorted(left.keys() | right.keys())
    return [
        (path, left.get(path, ABSENT), right.get(path, ABSENT)) for path in paths if left.get(path) != right.get(path)
    ]


def narrowed(content: Mapping[str, Any], watch: Mapping[str, Any]) -> dict[str, Any]:
    """Of what was collected only what is watched; a watched file or user that is not there is absent."""
    out: dict[str, Any] = {}
    for section, listed in watch.items():
        things = content.get(section, {})
        if section == "listening":
            out[section] = dict(things) if listed else {}
        elif section in PATTERNS:
            kept = {name: value for name, value in things.items() if any(fnmatchcase(name, each) for each in listed)}
            named = {each: ABSENT for each in listed if not set(each) & set("*?[") and each not in kept}
            out[section] = {**kept, **named}
        else:
            out[section] = {each: things.get(each, ABSENT) for each in listed}
        out[section] = dict(sorted(out[section].items())[:MAX_THINGS])
    return out


def showable(path: str, patterns: list[str]) -> bool:
    """Whether the text of a file may be kept."""
    return any(fnmatchcase(path, each) for each in patterns)

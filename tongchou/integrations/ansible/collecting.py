"""Collects of many hosts what a baseline watches: read-only modules, one process; pure but for starting it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tongchou.changes.baseline import ABSENT, MAX_TEXT, showable

STAT, SLURP, SYSCTL, PORTS = "files", "texts", "sysctl", "listening"
_PORT = re.compile(r"(?P<proto>tcp|udp)\S*\s+\S+\s+\S+\s+\S+\s+(?P<address>\S+):(?P<port>\d+)\s")
MAX_READ = 1_000_000  # bytes of a file's text
LOOPBACK = ("127.", "[::1]")


def play(watch: Mapping[str, Any], patterns: list[str]) -> list[dict[str, Any]]:
    """The play that reads it. Every task reads only; a file's text is read only where it may be shown."""
    tasks: list[dict[str, Any]] = []
    files = list(watch.get("files", []))
    if files:
        stat = {"path": "{{ item }}", "checksum_algorithm": "sha256", "get_mime": False, "follow": False}
        tasks.append({"name": STAT, "stat": stat, "loop": files})
        texts = [each for each in files if showable(each, patterns)]
        if texts:
            tasks.append({"name": SLURP, "slurp": {"src": "{{ item }}"}, "loop": texts, "failed_when": False})
    if watch.get("packages"):
        tasks.append({"name": "packages", "package_facts": {"manager": "auto"}})
    if watch.get("services"):
        tasks.append({"name": "services", "service_facts": {}})
    for section, database in (("users", "passwd"), ("groups", "group")):
        if watch.get(section):
            tasks.append({"name": section, "getent": {"database": database}})
    if watch.get("sysctl"):
        tasks.append({"name": SYSCTL, "command": {"argv": ["sysctl", "-e", *watch["sysctl"]]}, "failed_when": False})
    if watch.get("listening"):
        tasks.append({"name": PORTS, "command": {"argv": ["ss", "-Hlntu"]}})
    for task in tasks:
        task |= {"changed_when": False}
    return [{"hosts": "all", "gather_facts": False, "tasks": tasks}]


def content(told: Sequence[Mapping[str, Any]], hide: Callable[[Any], Any]) -> dict[str, Any]:
    """What the events of one host say, as content of a baseline. `hide` masks secrets in texts, before they are cut."""
    out: dict[str, Any] = {}
    for event in told:
        data = event.get("event_data")
        data = data if isinstance(data, dict) else {}
        result = data.get("res")
        if event.get("event") != "runner_on_ok" or not isinstance(result, dict):
            continue
        task, facts = data.get("task"), result.get("ansible_facts")
        facts = facts if isinstance(facts, dict) else {}
        if task == STAT:
            out.setdefault("files", {}).update(_files(result))
        elif task == SLURP:
            _texts(out.setdefault("files", {}), result, hide)
        elif task == "packages":
            out[task] = {name: _versions(each) for name, each in dict(facts.get("packages", {})).items()}
        elif task == "services":
            out[task] = {name: _service(each) for name, each in dict(facts.get("services", {})).items()}
        elif task == "users":
            out[task] = {name: _user(each) for name, each in dict(facts.get("getent_passwd", {})).items()}
        elif task == "groups":
            out[task] = {name: _group(each) for name, each in dict(facts.get("getent_group", {})).items()}
        elif task == SYSCTL:
            out[task] = _sysctl(str(result.get("stdout", "")))
        elif task == PORTS:
            out[task] = _ports(str(result.get("stdout", "")))
    return out


def _items(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = result.get("results")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _files(result: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for each in _items(result):
        stat = each.get("stat")
        if not isinstance(stat, dict) or not stat.get("exists"):
            out[str(each.get("item"))] = ABSENT
            continue
        kind = next((name for name in ("isdir", "islnk", "isreg") if stat.get(name)), "other")
        found = {"type": {"isdir": "directory", "islnk": "link", "isreg": "file"}.get(kind, kind)}
        found |= {"mode": str(stat.get("mode", "")), "owner": str(stat.get("pw_name", stat.get("uid", "")))}
        found |= {"group": str(stat.get("gr_name", stat.get("gid", "")))}
        found |= {"sha256": str(stat["checksum"])} if stat.get("checksum") else {}
        out[str(each.get("item"))] = found
    return out


def _texts(files: dict[str, Any], result: Mapping[str, Any], hide: Callable[[Any], Any]) -> None:
    for each in _items(result):
        there = files.get(str(each.get("item")))
        if not isinstance(there, dict) or not isinstance(each.get("content"), str):
            continue
        text = str(hide(base64.b64decode(each["content"])[:MAX_READ].decode("utf-8", "replace")))
        there["text"] = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "\n… cut"


def _versions(found: Any) -> str:
    listed = found if isinstance(found, list) else []
    named = [
        "-".join(str(each[key]) for key in ("version", "release") if each.get(key))
        for each in listed
        if isinstance(each, dict)
    ]
    return ",".join(sorted(set(named)))


def _service(found: Any) -> dict[str, bool]:
    said = found if isinstance(found, dict) else {}
    return {"enabled": said.get("status") == "enabled", "active": said.get("state") == "running"}


def _user(found: Any) -> dict[str, Any]:
    fields = [*(found if isinstance(found, list) else []), *[""] * 6]
    return {"uid": str(fields[1]), "gid": str(fields[2]), "home": str(fields[4]), "shell": str(fields[5])}


def _group(found: Any) -> dict[str, Any]:
    fields = [*(found if isinstance(found, list) else []), *[""] * 3]
    return {"gid": str(fields[1]), "members": sorted(each for each in str(fields[2]).split(",") if each)}


def _sysctl(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): " ".join(value.split()) for name, _sign, value in pairs}


def _ports(text: str) -> dict[str, bool]:
    """Ports that others can reach: those on the loopback alone are left out."""
    found = (_PORT.match(line) for line in text.splitlines())
    return {
        f"{each['proto']}/{each['port']}": True for each in found if each and not each["address"].startswith(LOOPBACK)
    }

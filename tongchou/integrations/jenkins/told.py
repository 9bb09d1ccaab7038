"""What a build tells of a deployment, read from the remote API as the Notification plugin would have sent it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from tongchou.changes.told import Ignored, Told, dig, text
from tongchou.integrations.deployments.formats import jenkins
from tongchou.integrations.jenkins.client import job_path, rows


def told_of(base: str, job: str, build: Mapping[str, Any], now: datetime) -> Told | Ignored:
    """Return what a build tells; with the plugin's own reader, so that both name it alike and it is recorded once.

    Which builds deploy only a rule says: a server has many jobs that do not.
    """
    ended = has_ended(build)
    path, number = job_path(job), build.get("number")
    body = {
        "name": job,
        "url": path + "/",
        "build": {
            "number": number,
            "phase": "FINALIZED" if ended else "STARTED",
            "status": build.get("result") if ended else "",
            "timestamp": build.get("timestamp"),
            "duration": build.get("duration"),
            "full_url": f"{base}{path}/{number}/",
            "parameters": _parameters(build),
            "scm": _scm(build),
        },
    }
    told = jenkins.read({}, body, now)
    if isinstance(told, Ignored):
        return told
    return replace(told, wants_rule=True, actor=_actor(build))


def has_ended(build: Mapping[str, Any]) -> bool:
    """Whether nothing of a build changes any more."""
    return build.get("building") is False and bool(build.get("result"))


def _actions(build: Mapping[str, Any], key: str) -> list[Any]:
    return [each[key] for each in rows(build.get("actions")) if each.get(key)]


def _parameters(build: Mapping[str, Any]) -> dict[str, Any]:
    """Passwords have no value there."""
    return {
        str(one.get("name")): one["value"]
        for listed in _actions(build, "parameters")
        for one in rows(listed)
        if isinstance(one.get("value"), str | int | float | bool)
    }


def _scm(build: Mapping[str, Any]) -> dict[str, str]:
    """The Git plugin's last built revision: refs/tags/v1 is a tag, refs/remotes/origin/main a branch."""
    for revision in _actions(build, "lastBuiltRevision"):
        branches = rows(dig(revision, "branch"))
        name = text(branches[0].get("name"), 253) if branches else ""
        tag = name.partition("refs/tags/")[2]
        plain = name.removeprefix("refs/remotes/").removeprefix("refs/heads/")
        found = {"commit": text(dig(revision, "SHA1"), 64), "branch": "" if tag or plain == "detached" else plain}
        return found | ({"tag": tag} if tag else {})
    return {}


def _actor(build: Mapping[str, Any]) -> str:
    names = (text(one.get("userName"), 150) for listed in _actions(build, "causes") for one in rows(listed))
    return next((name for name in names if name), "")

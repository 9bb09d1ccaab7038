"""Who asks Jenkins servers: satisfies changes.Builds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.changes.build_ports import Greeting, Place, SeenBuild
from tongchou.changes.models_builds import BuildServerKind
from tongchou.changes.told import dig, text
from tongchou.core.problems import Unavailable
from tongchou.integrations.jenkins.client import Jenkins, JenkinsError, is_job, job_path, rows, whole
from tongchou.integrations.jenkins.told import has_ended, told_of

LOOK_SECONDS = 60.0
DEPTH = 8  # folders within folders
PAGE = 100
JOBS = "fullName,lastBuild[number]"
BUILD = (
    "number,result,building,timestamp,duration,"
    "actions[parameters[name,value],causes[userName],lastBuiltRevision[SHA1,branch[SHA1,name]]]"
)


class JenkinsBuilds:
    """One look has one minute for all of its requests."""

    server_kind: str = BuildServerKind.JENKINS.value

    def greet(self, place: Place) -> Greeting:
        """Ask /api/json for the version and /me for who we are."""
        try:
            version, _server, me = Jenkins(place, time.monotonic() + LOOK_SECONDS).greeting()
        except JenkinsError as error:
            raise _unavailable(place, error) from error
        return Greeting(text(version, 60), text(me.get("fullName") or me.get("id"), 150))

    def last_builds(self, place: Place) -> Mapping[str, int]:
        """Every job at most DEPTH folders deep."""
        tree = f"jobs[{JOBS}]"
        for _level in range(DEPTH):
            tree = f"jobs[{JOBS},{tree}]"
        told = self._get(place, "", tree)
        found: dict[str, int] = {}
        waiting = rows(told.get("jobs"))
        while waiting:
            each = waiting.pop()
            waiting += rows(each.get("jobs"))
            number, name = whole(dig(each, "lastBuild", "number")), text(each.get("fullName"), 501)
            if number and is_job(name):
                found[name] = number
        return found

    def builds_after(self, place: Place, job: str, seen: int, now: datetime, *, most: int) -> Sequence[SeenBuild]:
        """Page by page from the newest; a job that is gone meanwhile has none."""
        found: dict[int, SeenBuild] = {}
        for first in range(0, most, PAGE):
            tree = f"allBuilds[{BUILD}]{{{first},{min(first + PAGE, most)}}}"
            page = rows(self._get(place, job_path(job), tree).get("allBuilds"))
            numbers = [whole(each.get("number")) or 0 for each in page]
            for number, each in zip(numbers, page, strict=True):
                if number > seen:
                    found[number] = _seen(place, job, number, each, now)
            if len(page) < PAGE or numbers[-1] <= seen:
                break
        return [found[number] for number in sorted(found)]

    def _get(self, place: Place, path: str, tree: str) -> Any:
        try:
            return Jenkins(place, time.monotonic() + LOOK_SECONDS).get(path, tree)
        except JenkinsError as error:
            if error.kind == "absent" and path:
                return {}
            raise _unavailable(place, error) from error


def _seen(place: Place, job: str, number: int, build: Mapping[str, Any], now: datetime) -> SeenBuild:
    return SeenBuild(number, has_ended(build), told_of(place.url, job, build, now))


def _unavailable(place: Place, error: JenkinsError) -> Unavailable:
    remedies = {
        "denied": _("Give the user and an API token of that user (Jenkins: your name, Security, API Token)."),
        "refused": _("Have the address allowed with TONGCHOU_HTTP_ALLOW, or correct it."),
        "absent": _("The address is that of Jenkins itself, with its path if it has one."),
    }
    return Unavailable(
        "build_server.unreachable",
        _("%(server)s gave no usable answer (%(reason)s): %(why)s")
        % {"server": place.name, "reason": error.reason, "why": error.why},
        remedy=remedies.get(error.kind, _("See that Jenkins runs and can be reached from here at this address.")),
    )


BUILDS = JenkinsBuilds()

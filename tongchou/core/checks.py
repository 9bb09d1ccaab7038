"""Checks of the installation itself: what `tongchou doctor` says. Each room adds its own in `health_checks.py`.

A check looks and never changes anything; what it returns is shown to people and must hold no secret.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from django.db import DatabaseError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Problem

log = logging.getLogger(__name__)
Text = str | Promise
Status = Literal["ok", "warn", "fail", "skip"]
EXIT_CODES: dict[Status, int] = {"ok": 0, "skip": 0, "warn": 1, "fail": 2}
ORDER: tuple[Status, ...] = ("fail", "warn", "ok", "skip")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the checks run: inside the server, beside a running one, or with none.

    `answers` is what the running server said of itself (/readyz), None when none was asked. `has_database` is False
    before the first start, when to ask SQLite would be to make its file.
    """

    in_server: bool
    running: bool
    answers: dict[str, Any] | None = None
    has_database: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: a status, a sentence, what to do about it."""

    status: Status
    detail: Text
    remedy: Text = ""


@dataclass(frozen=True, slots=True)
class Result:
    """A finding with the name and the title of its check and how long it took."""

    name: str
    title: Text
    finding: Finding
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the members for JSON, in the language spoken now."""
        return {
            "name": self.name,
            "title": str(self.title),
            "status": self.finding.status,
            "detail": str(self.finding.detail),
            "remedy": str(self.finding.remedy),
            "seconds": round(self.seconds, 3),
        }


Look = Callable[[Surroundings], Finding]


@dataclass(frozen=True, slots=True)
class _Check:
    title: Text
    look: Look
    needs_database: bool


_checks: dict[str, _Check] = {}


def ok(detail: Text) -> Finding:
    """All is well."""
    return Finding("ok", detail)


def warn(detail: Text, remedy: Text) -> Finding:
    """It works, and something should be done."""
    return Finding("warn", detail, remedy)


def fail(detail: Text, remedy: Text) -> Finding:
    """It does not work, or loses something."""
    return Finding("fail", detail, remedy)


def skip(detail: Text) -> Finding:
    """There is nothing to look at here."""
    return Finding("skip", detail)


def check(name: str, title: Text, *, needs_database: bool = False) -> Callable[[Look], Look]:
    """Register a check under a dotted name ("data.space"); names sort the list."""

    def register(look: Look) -> Look:
        _checks[name] = _Check(title, look, needs_database)
        return look

    return register


def names() -> list[str]:
    """Return the names of every registered check."""
    return sorted(_checks)


def run(where: Surroundings, *, only: Iterable[str] | None = None) -> list[Result]:
    """Run every check (or those named), worst first. A check that breaks is a failing one; the others still run."""
    wanted = _checks if only is None else {name: _checks[name] for name in only}
    found = [_run_one(name, each, where) for name, each in sorted(wanted.items())]
    return sorted(found, key=lambda each: ORDER.index(each.finding.status))


def _run_one(name: str, wanted: _Check, where: Surroundings) -> Result:
    started = time.monotonic()
    try:
        if wanted.needs_database and not where.has_database:
            finding = skip(_("There is no database yet; the first start makes it."))
        else:
            finding = wanted.look(where)
    except Problem as problem:
        finding = fail(problem.detail, problem.remedy or _("See the log of the server."))
    except DatabaseError as error:
        finding = warn(
            _("The database did not answer this question: %(error)s") % {"error": type(error).__name__},
            _("See the checks of the database and its schema first."),
        )
    except (OSError, ValueError, LookupError, RuntimeError) as error:
        log.warning("check %s broke", name, exc_info=error)
        finding = fail(
            _("The check itself broke: %(error)s") % {"error": f"{type(error).__name__}: {error}"[:300]},
            _("See the log of the server."),
        )
    return Result(name, wanted.title, finding, time.monotonic() - started)


def worst(results: Iterable[Result]) -> Status:
    """Return the worst status; nothing at all is ok."""
    found = {each.finding.status for each in results} - {"skip"}
    return next((status for status in ORDER if status in found), "ok")


def report(results: list[Result]) -> dict[str, Any]:
    """Return the whole report as JSON members: status, counts, the checks."""
    counts = {status: sum(each.finding.status == status for each in results) for status in ORDER}
    return {
        "status": worst(results),
        "counts": counts,
        "process": os.getpid(),
        "checks": [each.as_dict() for each in results],
    }

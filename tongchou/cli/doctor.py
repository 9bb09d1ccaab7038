"""`tongchou doctor`: what is wrong with this installation and what to do. Works with the server running and stopped."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tongchou.core.checks import Result, Surroundings

MARKS = {"ok": ("✔", "green"), "warn": ("!", "yellow"), "fail": ("✘", "red"), "skip": ("–", "dim")}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Check this installation: exit code 0 all is well, 1 something should be done, 2 something is broken."""
    try:
        import django
        from django.conf import settings

        data: Path = settings.DATA
        django.setup()
    except (OSError, ValueError, ImportError) as error:
        raise typer.Exit(_tell_broken_settings(error, as_json=as_json)) from None
    from django.utils import translation

    from tongchou.core import checks

    with translation.override(language_of_terminal(settings.LANGUAGE_CODE)):
        found = checks.run(_surroundings(data))
        if as_json:
            print(json.dumps(checks.report(found), ensure_ascii=False, indent=2))
        else:
            _print(found)
    raise typer.Exit(checks.EXIT_CODES[checks.worst(found)])


def language_of_terminal(default: str) -> str:
    """Return zh-hans or en as the terminal's locale says, else the installation's language."""
    wanted = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "zh-hans" if wanted.startswith("zh") else "en" if wanted.startswith("en") else default


def _tell_broken_settings(error: Exception, *, as_json: bool) -> int:
    """The settings cannot be read, so nothing else can be asked: say which and what to do. Returns the exit code."""
    detail = f"{type(error).__name__}: {error}"
    remedy = "Correct the environment variable or the folder the message names (docs: settings)."
    if as_json:
        check = {"name": "settings", "title": "Settings", "status": "fail", "detail": detail, "remedy": remedy}
        print(json.dumps({"status": "fail", "counts": {"fail": 1}, "checks": [check]}, ensure_ascii=False))
    else:
        print(f"✘ Settings: {detail}\n  {remedy}", file=sys.stderr)
    return 2


def _surroundings(data: Path) -> Surroundings:
    from django.conf import settings

    from tongchou.core.checks import Surroundings

    running = _is_held(data / "lock")
    has_database = bool(settings.DATABASE_URL) or (data / "tongchou.sqlite3").exists()
    return Surroundings(False, running, _ask() if running else None, has_database)


def _is_held(lock: Path) -> bool:
    """Whether a server holds the data folder; asks without keeping the lock."""
    if not lock.exists():
        return False
    with lock.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a node of several holds it shared
        except OSError:
            return True
    return False


def _ask() -> dict[str, Any] | None:
    """What the running server says at /readyz on its own port; None when it says nothing."""
    from urllib.parse import urlsplit

    import httpx
    from django.conf import settings

    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.HOST, settings.HOST)  # noqa: S104  # what "everywhere" is reached by
    named = urlsplit(settings.PUBLIC_URL).hostname or "localhost"
    try:
        answer = httpx.get(
            f"http://{host}:{settings.PORT}/readyz", headers={"Host": named}, timeout=10.0, trust_env=False
        )
        told = answer.json()
    except (httpx.HTTPError, ValueError):
        return None
    return told if isinstance(told, dict) and "failing" in told else None


def _print(results: list[Result]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    for each in results:
        mark, colour = MARKS[each.finding.status]
        console.print(f"[{colour}]{mark}[/] [bold]{escape(str(each.title))}[/]  {escape(str(each.finding.detail))}")
        if each.finding.remedy:
            console.print(f"    → {escape(str(each.finding.remedy))}")

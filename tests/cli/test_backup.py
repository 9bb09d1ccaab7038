"""The commands that the guides print are commands we have; a backup of the own server goes past no proxy."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from tests.served import free_port
from tongchou.cli import backup
from tongchou.cli.main import app
from tongchou.core.problems import Unavailable

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / language / page for language in ("en", "zh") for page in ("backup.md", "upgrade.md")]


def commands(page: Path) -> list[list[str]]:
    """The words of each `tongchou ...` line inside a code block."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("tongchou ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_every_printed_command_parses(page: Path) -> None:
    found = commands(page)
    assert len(found) >= 4
    for words in found:
        group = typer.main.get_command(app)
        context = group.make_context("tongchou", list(words), resilient_parsing=False)
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        inner = command.make_context(name, rest, parent=context)
        if getattr(command, "commands", None) and (inner._protected_args or inner.args):
            name, command, rest = command.resolve_command(inner, [*inner._protected_args, *inner.args])
            command.make_context(name, rest, parent=inner)


def test_a_proxy_of_the_environment_is_not_asked_for_the_own_server(monkeypatch: Any, settings: Any) -> None:
    settings.PORT = free_port()
    seen, inner = [], httpx.Client

    def client(**more: Any) -> httpx.Client:
        seen.append(more["trust_env"])
        return inner(**more)

    monkeypatch.setattr(httpx, "Client", client)
    for url in (None, f"http://127.0.0.1:{settings.PORT}"):
        with pytest.raises(Unavailable, match="does not answer"):
            backup._remote(url, "tc_token", None, None, None)
    assert seen == [False, True]

"""A setting, a command, a kind of rule or step that is not documented fails here; so does an example that cannot be followed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
from django.urls import Resolver404, resolve

from tongchou.alerting.actions import check_expression
from tongchou.alerting.rulefile import parse_rule_file
from tongchou.cli.main import app
from tongchou.core import modules, settings_store
from tongchou.core.field_types import FieldType
from tongchou.core.models_calendars import WindowKind
from tongchou.core.nouns import nouns
from tongchou.runbooks.installed import runners
from tongchou.runbooks.step_kinds import KINDS

DOCS = Path(__file__).resolve().parents[2] / "docs"
LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])


def guide(language: str) -> str:
    return "\n".join(page.read_text() for page in sorted((DOCS / language).glob("*.md")))


def blocks(text: str, *languages: str) -> list[str]:
    return re.findall(rf"```(?:{'|'.join(languages)})\n(.*?)```", text, re.DOTALL)


def commands() -> dict[str, Any]:
    root: Any = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, command in root.commands.items():
        found[name] = command
        found |= {f"{name} {each}": inner for each, inner in getattr(command, "commands", {}).items()}
    return found


@LANGUAGES
def test_every_command_is_in_the_guide(language: str) -> None:
    text = guide(language)
    assert [name for name in commands() if f"tongchou {name}" not in text] == []


@LANGUAGES
def test_every_setting_that_changes_at_run_time_is_in_the_guide(language: str) -> None:
    page = (DOCS / language / "settings.md").read_text()
    keys = [each.key for each in settings_store.known() if not each.key.startswith("test.")]  # those of other tests
    assert [key for key in keys if f"| `{key}` |" not in page] == []
    told = set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", page, re.MULTILINE))
    assert told <= {each.key for each in settings_store.known()}, "the page tells of settings that are gone"


@LANGUAGES
def test_every_kind_of_step_rule_field_window_and_module_is_in_the_guide(language: str) -> None:
    text = guide(language)
    examples = "\n".join(blocks(text, "yaml", "yml"))
    words = {*KINDS, *runners(), "record", "alert", *FieldType.values, *WindowKind.values}
    keys = {word for word in words if re.search(rf"(?:^|[\s{{,]){word}:(?:\s|$)", examples)}
    assert sorted(word for word in words - keys if f"`{word}`" not in text) == []
    operations = (DOCS / language / "operations.md").read_text()
    assert [each.name for each in modules.known() if f"`{each.name}`" not in operations] == []


def test_every_noun_is_called_by_its_kind_somewhere() -> None:
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+", noun.kind) for noun in nouns())


@LANGUAGES
def test_every_option_of_a_command_in_an_example_exists(language: str) -> None:
    known = commands()
    wrong = []
    for block in blocks(guide(language), "bash", "sh", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            call = re.search(r"(?:^|[/\s])tongchou ([a-z]+(?: [a-z]+)?)(.*)", line.split(" #")[0])
            if call is None:
                continue
            name = call[1] if call[1] in known else call[1].split()[0]
            if name not in known:
                wrong.append(line)
                continue
            options = {option for parameter in known[name].params for option in parameter.opts}
            wrong += [
                f"{name} {each}"
                for each in re.findall(r"(?<=\s)--[a-z-]+", call[2])
                if each not in options | {"--help"}
            ]
    assert wrong == []


@LANGUAGES
def test_every_address_in_an_example_exists(language: str) -> None:
    wrong = []
    for address in re.findall(r"(?:GET|POST|PUT|PATCH|DELETE) `?(/[a-z][^\s`'\"?|,)]*)", guide(language)):
        path = re.sub(r"\{[a-z_]+\}|<[a-z_:]+>|\b[A-Z]{2,}\b|\.\.\.", "1", address.partition("[")[0]).rstrip(".;:")
        # a page may leave out /api/v1; an id, a day, a kind or a name stands where the guide has a placeholder
        values = ("1", "3f0c5f0e-3d5c-4b7e-9d53-0f1f6a2b4c5d", "2026-10-01", "inventory.resource")
        candidates = [prefix + path.replace("/1", f"/{each}") for prefix in ("", "/api/v1") for each in values]
        for each in candidates:
            try:
                resolve(each)
                break
            except Resolver404:
                continue
        else:
            wrong.append(address)
    assert sorted(set(wrong)) == []


@LANGUAGES
def test_every_rule_file_in_the_guide_is_one(language: str) -> None:
    files = [block for block in blocks(guide(language), "yaml", "yml") if block.lstrip().startswith("groups:")]
    assert files
    for text in files:
        assert parse_rule_file(text, check_expression)

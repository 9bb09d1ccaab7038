"""The user pages on the inventory tell the truth, in both languages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tongchou.integrations.prometheus.http_sd import MAX_BYTES, MAX_TARGETS, SOURCE, parse
from tongchou.inventory.catalogue.everything import KINDS, RELATION_TYPES

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = pytest.mark.parametrize("page", [DOCS / "en" / "inventory.md", DOCS / "zh" / "inventory.md"], ids=["en", "zh"])


@PAGES
def test_the_example_document_is_read_as_told(page: Path) -> None:
    example = re.search(r"```json\n(.*?)```", page.read_text(), re.DOTALL)
    assert example is not None
    seen = parse(example.group(1).encode(), source="shop", job="shop", interval_seconds=1.0)
    assert [(r.kind, r.name, r.owner) for r in seen.resources] == [
        ("instance", "orders-1", "shop"),
        ("service", "orders", "shop"),
    ]
    assert [relation.type for relation in seen.relations] == ["part_of", "calls", "stores_in", "runs_on"]
    assert seen.endpoints[0].interval_seconds == 15.0
    assert json.loads(example.group(1))[0]["labels"].keys() >= {"__meta_tongchou_attr_version"}


@PAGES
def test_every_relation_type_and_setting_and_limit_is_on_the_page(page: Path) -> None:
    text = page.read_text()
    for name in (*RELATION_TYPES, *SOURCE.settings_schema["properties"]):
        assert f"`{name}`" in text, name
    assert f"{MAX_TARGETS:,}" in text
    assert f"{MAX_BYTES // 1_000_000} MB" in text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_kind_and_each_of_its_fields_is_on_the_page_of_kinds(language: str) -> None:
    lines = (DOCS / language / "kinds.md").read_text().splitlines()
    for kind in KINDS.values():
        (line,) = [each for each in lines if each.startswith(f"| `{kind.name}` |")]
        assert [
            field.name for field in kind.fields if f"`{field.name}`{'*' if field.required else ''}" not in line
        ] == []
        assert [name for name in kind.wanted if f"`{name}`°" not in line] == []
        assert not kind.parent or f"`{kind.parent}`" in line

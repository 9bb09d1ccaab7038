"""The page on sources tells of every source but the first two, of each of their settings, and of no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tongchou.inventory import documents, gather, remote
from tongchou.inventory.sources import source_kinds

DOCS = Path(__file__).resolve().parents[2] / "docs"
ON_THE_PAGE_OF_THE_INVENTORY = {"host", "http_sd"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_source_and_setting_and_limit_is_on_the_page(language: str) -> None:
    text = (DOCS / language / "sources.md").read_text()
    told = set(re.findall(r"^## \S+ `(\w+)`$", text, re.MULTILINE))
    assert told == source_kinds().keys() - ON_THE_PAGE_OF_THE_INVENTORY
    for kind in told:
        for name in source_kinds()[kind].settings_schema["properties"]:
            assert re.search(rf"`{name}\b", text), f"{kind}.{name}"
    for limit in (
        f"{gather.MAX_RESOURCES:,}",
        f"{documents.MAX_BYTES // 1_000_000} MB",
        f"{remote.MAX_ANSWER_BYTES // 1_000_000} MB",
        f"{remote.LOOK_SECONDS:g}",
        documents.FOLDERS,
    ):
        assert limit in text, limit


@pytest.mark.parametrize("kind", sorted(source_kinds().keys() - ON_THE_PAGE_OF_THE_INVENTORY))
def test_settings_that_nobody_knows_are_refused_and_none_holds_a_secret(kind: str) -> None:
    schema = source_kinds()[kind].settings_schema
    assert schema["additionalProperties"] is False
    for name, rule in schema["properties"].items():
        assert not re.search(r"password|token(?!_secret)|kubeconfig(?!_secret)", name), name
        assert rule.get("description"), f"{kind}.{name}"

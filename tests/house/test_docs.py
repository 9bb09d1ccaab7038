"""What is not documented fails here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_environment_variable_is_documented(language: str) -> None:
    used: set[str] = set()
    for path in [ROOT / "tongchou" / "settings.py", *(ROOT / "tongchou" / "cli").glob("*.py")]:
        used |= set(re.findall(r"TONGCHOU_[A-Z_]+[A-Z]", path.read_text()))
    page = (ROOT / "docs" / language / "settings.md").read_text()
    assert sorted(name for name in used if f"`{name}`" not in page) == []


def test_both_languages_have_the_same_pages() -> None:
    english = {path.name for path in (ROOT / "docs" / "en").glob("*.md")}
    chinese = {path.name for path in (ROOT / "docs" / "zh").glob("*.md")}
    assert english == chinese


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.name} -> {target}")
    assert broken == []


def test_make_targets_named_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for name in re.findall(r"(?:`|^)make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE):
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name

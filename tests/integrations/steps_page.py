"""The page of the guide on steps of other systems, in parts: what its tests look for in the part of a kind."""

from __future__ import annotations

import re
from pathlib import Path

from tongchou.runbooks import procedure
from tongchou.runbooks.definition import Definition

DOCS = Path(__file__).resolve().parents[2] / "docs"


def section(kind: str, language: str) -> str:
    """What the page says of a kind of step."""
    page = (DOCS / language / "steps.md").read_text()
    return page.split(f"\n## `{kind}`", 1)[1].split("\n## ", 1)[0]


def example(kind: str, language: str) -> Definition:
    """The one example of a kind, which has to be a procedure without a defect."""
    (text,) = re.findall(r"```yaml\n(.*?)```", section(kind, language), re.DOTALL)
    definition, defects = procedure.examine(text)
    assert defects == []
    assert definition is not None
    return definition

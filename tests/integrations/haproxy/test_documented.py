"""The page on steps tells the truth: its examples are procedures, and no key, action or reason is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tongchou.integrations.haproxy import runner
from tongchou.integrations.haproxy.decide import ACTIONS
from tongchou.integrations.haproxy.runner import ACTS, HAPROXY_STEP
from tongchou.runbooks import procedure
from tongchou.runbooks.reasons import SENTENCES

DOCS = Path(__file__).resolve().parents[3] / "docs"


def section(language: str) -> str:
    page = (DOCS / language / "steps.md").read_text()
    return page.split("\n## `haproxy`", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_example_is_a_procedure(language: str) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", section(language), re.DOTALL)
    definition, defects = procedure.examine(example)
    assert defects == []
    assert definition is not None
    assert [step.kind for step in definition.steps] == ["haproxy", "http", "haproxy"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_key_and_action_is_on_the_page(language: str) -> None:
    text = section(language)
    words = {*HAPROXY_STEP.fields, *ACTIONS, "haproxy.sockets"}
    assert sorted(word for word in words if not re.search(rf"`{re.escape(word)}[`:]", text)) == []


def test_every_action_is_done_and_every_reason_has_a_sentence() -> None:
    assert {*ACTS, "show"} == set(ACTIONS)
    used: set[str] = set()
    for source in Path(runner.__file__).parent.glob("*.py"):
        used |= set(re.findall(r'"(haproxy_[a-z_]+)"', source.read_text()))
    assert len(used) > 5
    assert used <= set(SENTENCES)

"""The pages on procedures tell the truth: their example is read, and no step, type or event is missing from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tongchou.runbooks import parameters, procedure
from tongchou.runbooks.definition import GRADES
from tongchou.runbooks.step_kinds import KINDS
from tongchou.runbooks.steps import FLOW_KEYS

VERBS = (
    r"run\.(?:requested|previewed|started|step_finished|step_retried|paused|resumed|waiting|answered|retried)"
    r"|execution\.(?:stopped|resumed)"
)
DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_example_is_a_procedure(language: str) -> None:
    page = (DOCS / language / "procedures.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    definition, defects = procedure.examine(example)
    assert defects == []
    assert definition is not None
    assert {step.kind for step in definition.steps} == set(KINDS)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_word_of_the_format_is_on_the_page(language: str) -> None:
    page = (DOCS / language / "procedures.md").read_text()
    verbs: set[str] = set()
    for source in Path(procedure.__file__).parent.glob("*.py"):
        verbs |= set(re.findall(f'"({VERBS})"', source.read_text()))
    words = {
        *parameters.TYPES,
        *FLOW_KEYS,
        "parallel",
        *GRADES,
        *KINDS,
        *verbs,
        "run.succeeded",
        "run.failed",
        "run.cancelled",
    }
    assert len(verbs) == 12
    assert sorted(word for word in words if f"`{word}`" not in page) == []

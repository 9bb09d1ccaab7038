"""The page on steps tells the truth: its example is a procedure, and no key or reason is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integrations.steps_page import example, section
from tongchou.integrations.jenkins import step
from tongchou.integrations.jenkins.step import JENKINS_STEP
from tongchou.runbooks.reasons import DEFINITE, SENTENCES


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_example_is_a_procedure(language: str) -> None:
    definition = example("jenkins", language)
    assert [(each.kind, each.alters, each.repeatable) for each in definition.steps] == [("jenkins", True, True)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_key_is_on_the_page(language: str) -> None:
    text = section("jenkins", language)
    assert sorted(word for word in JENKINS_STEP.fields if not re.search(rf"`{re.escape(word)}[`:]", text)) == []


def test_every_reason_has_a_sentence() -> None:
    used: set[str] = set()
    for source in Path(step.__file__).parent.glob("*.py"):
        if source.name != "run_time_settings.py":
            used |= set(re.findall(r'"(jenkins_[a-z_]+)"', source.read_text()))
    declared = {code for code in SENTENCES if code.startswith("jenkins_")}
    assert used == declared
    assert {code for code in DEFINITE if code.startswith("jenkins_")} < declared

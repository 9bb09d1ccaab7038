"""The page on steps tells the truth: its examples are procedures, and no key, action or reason is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integrations.steps_page import example, section
from tongchou.integrations.haproxy import runner
from tongchou.integrations.haproxy.decide import ACTIONS
from tongchou.integrations.haproxy.runner import ACTS, HAPROXY_STEP
from tongchou.runbooks.reasons import SENTENCES


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_example_is_a_procedure(language: str) -> None:
    definition = example("haproxy", language)
    assert [step.kind for step in definition.steps] == ["haproxy", "http", "haproxy"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_key_and_action_is_on_the_page(language: str) -> None:
    text = section("haproxy", language)
    words = {*HAPROXY_STEP.fields, *ACTIONS, "haproxy.sockets"}
    assert sorted(word for word in words if not re.search(rf"`{re.escape(word)}[`:]", text)) == []


def test_every_action_is_done_and_every_reason_has_a_sentence() -> None:
    assert {*ACTS, "show"} == set(ACTIONS)
    used: set[str] = set()
    for source in Path(runner.__file__).parent.glob("*.py"):
        used |= set(re.findall(r'"(haproxy_[a-z_]+)"', source.read_text()))
    assert len(used) > 5
    assert used <= set(SENTENCES)

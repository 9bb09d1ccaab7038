"""The page on steps tells the truth: its example is a procedure that could run, and no key or setting is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integrations.steps_page import example, section
from tongchou.integrations.ansible import inline, runner
from tongchou.integrations.ansible.run_time_settings import LOCAL, PROJECT
from tongchou.integrations.ansible.runner import ANSIBLE_STEP
from tongchou.runbooks.reasons import SENTENCES

ROOT = Path(__file__).resolve().parents[3]
ATTRIBUTES = (
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_connection",
    "ansible_python_interpreter",
    "host_key",
)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_example_is_a_procedure(language: str) -> None:
    definition = example("ansible", language)
    assert [step.kind for step in definition.steps] == ["ansible", "ansible"]
    assert inline.problems(definition.steps[0].body["tasks"]) == []
    assert definition.secrets == ["deploy-key"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_key_setting_and_attribute_is_on_the_page(language: str) -> None:
    text = section("ansible", language)
    words = {*ANSIBLE_STEP.fields, *ATTRIBUTES, PROJECT, LOCAL, "TONGCHOU_ANSIBLE_RUNNER", "make tools"}
    assert sorted(word for word in words if f"`{word}`" not in text) == []


def test_every_reason_has_a_sentence() -> None:
    used: set[str] = set()
    for source in Path(runner.__file__).parent.glob("*.py"):
        used |= set(re.findall(r'Reason\(f?"(ansible_[a-z_]+)"', source.read_text()))
    assert len(used) > 5
    assert used <= set(SENTENCES)


def test_ansible_is_installed_beside_the_platform_and_never_in_it() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert not re.search(r"^ansible", (ROOT / name).read_text(), re.MULTILINE), name
    assert re.findall(r"^(ansible-[a-z]+)==", (ROOT / "requirements-tools.txt").read_text(), re.MULTILINE) == [
        "ansible-core",
        "ansible-runner",
    ]
    for source in (ROOT / "tongchou").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) ansible(_runner)?\b", source.read_text(), re.MULTILINE), source

"""Checkov is called without anything but the plan, and what it says is read; a broken one says nothing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from django.conf import settings

from tongchou.integrations.checkov.checker import CHECKER

PLAN = json.loads((Path(__file__).parents[2] / "changes" / "plans" / "aws.json").read_text())
STUB = """#!/usr/bin/env python3
import json, os, stat, sys
from pathlib import Path
file = Path(sys.argv[sys.argv.index("-f") + 1])
assert json.loads(file.read_text())["format_version"]
assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
assert "--skip-download" in sys.argv and "SECRET_OF_THE_PLATFORM" not in os.environ
Path(%r).write_text(str(file))
found = {"check_id": "CKV_1", "check_name": "Encrypt it", "resource": "aws_db_instance.main", "guideline": None}
print(json.dumps([{"results": {"failed_checks": [found, "odd"]}}, {"passed": 0}]))
"""


def stub(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in for checkov in its place."""
    program = folder / "checkov"
    program.write_text(text)
    program.chmod(0o755)
    monkeypatch.setattr(settings, "CHECKOV", str(program))


def test_what_fails_is_read_and_the_plan_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_PLATFORM", "x")
    stub(tmp_path, STUB % str(tmp_path / "seen"), monkeypatch)
    assert CHECKER.installed()
    found = CHECKER.check(PLAN)
    assert found is not None
    assert [(each.rule, each.title, each.address) for each in found] == [
        ("CKV_1", "Encrypt it", "aws_db_instance.main")
    ]
    assert not Path((tmp_path / "seen").read_text()).exists()


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\necho no json\n", "not a program"])
def test_one_that_breaks_says_nothing(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(tmp_path, text, monkeypatch)
    assert CHECKER.check(PLAN) is None


def test_none_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CHECKOV", "/nowhere/checkov")
    assert not CHECKER.installed()
    assert CHECKER.check(PLAN) is None


@pytest.mark.soak
@pytest.mark.skipif(
    shutil.which(os.environ.get("TONGCHOU_CHECKOV", "checkov")) is None, reason="checkov is not installed"
)
def test_the_real_one_finds_what_is_wrong_with_an_open_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CHECKOV", os.environ.get("TONGCHOU_CHECKOV", "checkov"))
    found = CHECKER.check(PLAN)
    assert found
    assert {"aws_db_instance.main", "aws_security_group.web"} <= {each.address for each in found}

"""What sources observed survives kill -9 of the process that makes items of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tongchou.core import jobs

HERE = Path(__file__).parents[2]
CHILD = """
import os, signal, sys
import django
django.setup()
from django.core.management import call_command
from tests.changes.observing import eyes, read, sees, thing
from tongchou.changes import observed_items
from tongchou.changes.models_drift import Drift
from tongchou.core import ledger
from tongchou.inventory.models import SourceConfig
if sys.argv[1] == "dies":
    call_command("migrate", verbosity=0)
    source = eyes()
    sees(source, thing("web-1", kernel="6.1"))
    read()
    sees(source, thing("web-1", kernel="6.2"))
    def dies(**_more):
        assert Drift.objects.count() == 1, "it was written, and not committed"
        os.kill(os.getpid(), signal.SIGKILL)
    observed_items.ledger = type("dying", (), {"record_many": staticmethod(dies)})
    read()
print(Drift.objects.count())
read()
read()
print([(row.path, row.expected, row.observed, row.state, row.consecutive) for row in Drift.objects.all()])
"""


def test_kill_9_in_the_middle_of_writing_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    env = {**os.environ, "TONGCHOU_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "tongchou.settings"}

    def run(what: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", CHILD, what]
        return subprocess.run(words, env=env, cwd=HERE, capture_output=True, text=True, timeout=120)

    died = run("dies")
    assert died.returncode == -signal.SIGKILL, died.stderr
    after = run("goes on")
    assert after.stdout.splitlines() == ["0", "[('kernel', '6.1', '6.2', 'open', 1)]"], after.stderr


def test_it_is_read_by_the_clock() -> None:
    assert jobs.periodic_seconds()["changes.observed"] == 5

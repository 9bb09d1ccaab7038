"""Runs checkov over the JSON of a plan: satisfies changes.PlanChecker.

The JSON holds what is sensitive in clear: it lies in a folder for the owner only while checkov reads it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from tongchou.changes.ports import Checked

TIMEOUT_SECONDS = 120.0  # shorter than a plan may be silent (changes.iac_states)
MAX_FOUND = 2000
PATH = "/usr/local/bin:/usr/bin:/bin"


def program() -> str | None:
    """Where checkov is, None when it is not there."""
    return shutil.which(settings.CHECKOV, path=f"{os.environ.get('PATH', '')}:{PATH}") if settings.CHECKOV else None


class Checkov:
    """Satisfies changes.PlanChecker."""

    checker = "checkov"

    def installed(self) -> bool:
        """Whether it is there."""
        return program() is not None

    def check(self, document: Any) -> Sequence[Checked] | None:
        """What fails, without asking anybody for guidelines or policies."""
        where = program()
        if where is None:
            return None
        with tempfile.TemporaryDirectory(prefix="plan-") as folder:  # mkdtemp: mode 0700
            file = Path(folder) / "plan.json"
            file.write_text(json.dumps(document))
            words = [
                where,
                "-f",
                str(file),
                "--framework",
                "terraform_plan",
                "--skip-download",
                "--compact",
                "-o",
                "json",
            ]
            try:
                done = subprocess.run(  # noqa: S603  # no shell; the words are ours
                    [*words, "--quiet", "--soft-fail"],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    cwd=folder,
                    env={"PATH": PATH, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8", "LOG_LEVEL": "CRITICAL"},
                    timeout=TIMEOUT_SECONDS,
                    check=False,
                )
                found = json.loads(done.stdout)
            except (OSError, subprocess.TimeoutExpired, ValueError, RecursionError):
                return None
        return list(_failed(found))[:MAX_FOUND] if done.returncode == 0 else None


def _failed(found: Any) -> Iterator[Checked]:
    """The failed checks of one report, or of several in a list; a plan without resources gives bare counts."""
    for report in found if isinstance(found, list) else [found]:
        results = report.get("results") if isinstance(report, dict) else None
        failed = results.get("failed_checks") if isinstance(results, dict) else None
        for each in failed or ():
            if isinstance(each, dict):
                yield Checked(
                    str(each.get("check_id") or "")[:80],
                    str(each.get("check_name") or "")[:300],
                    str(each.get("resource_address") or each.get("resource") or "")[:1000],
                    str(each.get("guideline") or "")[:300],
                )


CHECKER = Checkov()

"""Backups, checks and restores work in clear text: what a killed one left goes at the next backup, what is in use not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tongchou.core.backup import build, parts, relational
from tongchou.core.backup.scratch import BACKUP, RESTORE, VERIFY, scratch, sweep

ASLEEP = """
import sys, time
from pathlib import Path
from tongchou.core.backup.scratch import scratch
with scratch(Path(sys.argv[1]), sys.argv[2]) as work:
    (work / "tongchou.sqlite3").write_text("everything in clear")
    print(flush=True)
    time.sleep(600)
"""


@pytest.fixture
def backed_up(tmp_path: Path, settings, monkeypatch) -> Iterator[Path]:
    """A backup folder beside a data folder; the stores of a backup are empty."""
    settings.DATA, folder = tmp_path / "data", tmp_path / "backups"
    settings.DATA.mkdir()
    folder.mkdir()
    monkeypatch.setattr(relational, "dump", lambda _sink, _work: {"rows": {}, "ledger": None})
    monkeypatch.setattr(parts, "_parts", {})
    return folder


def asleep(folder: Path, prefix: str) -> subprocess.Popen[str]:
    """A process at work in a scratch folder."""
    words = [sys.executable, "-c", ASLEEP, str(folder), prefix]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "\n"
    return process


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir() if each.is_dir()}


def backup(folder: Path) -> None:
    build.build(folder / "one.backup", key=None, with_keys=False)


@pytest.mark.parametrize("prefix", [BACKUP, VERIFY, RESTORE])
def test_what_a_killed_process_left_in_clear_goes_at_the_next_backup(backed_up: Path, settings, prefix: str) -> None:
    folder = settings.DATA if prefix == RESTORE else backed_up
    process = asleep(folder, prefix)
    process.kill()
    process.communicate()
    assert len(names(folder)) == 1
    backup(backed_up)
    assert names(folder) == set()
    assert (backed_up / "one.backup").exists()


def test_a_check_that_is_under_way_keeps_its_folder(backed_up: Path) -> None:
    process = asleep(backed_up, VERIFY)
    try:
        at_work = names(backed_up)
        backup(backed_up)
        assert names(backed_up) == at_work
        assert [each.read_text() for each in backed_up.glob(f"{VERIFY}*/clear/*")] == ["everything in clear"]
    finally:
        process.kill()
        process.communicate()


def test_what_an_earlier_release_left_goes_and_folders_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / f"{BACKUP}abc_1234").mkdir()
    (tmp_path / f"{BACKUP}abc_1234" / "tongchou.sqlite3").write_text("everything in clear")
    long_ago = time.time() - 7200
    os.utime(tmp_path / f"{BACKUP}abc_1234", (long_ago, long_ago))
    (tmp_path / f"{VERIFY}new").mkdir()
    for mine in ("photos", f"{BACKUP}reports", f"{VERIFY}of-last-year", ".restore-old"):
        (tmp_path / mine).mkdir()
        os.utime(tmp_path / mine, (long_ago, long_ago))
    (tmp_path / f"{BACKUP}link").symlink_to(tmp_path / "photos")
    assert sweep(tmp_path) == 1
    assert names(tmp_path) == {
        f"{VERIFY}new", "photos", f"{BACKUP}link", f"{BACKUP}reports", f"{VERIFY}of-last-year", ".restore-old",
    }  # fmt: skip


def test_nothing_is_left_after_the_work_or_its_failure(tmp_path: Path) -> None:
    with pytest.raises(ValueError), scratch(tmp_path, BACKUP) as work:
        (work / "table").write_text("clear")
        assert work.stat().st_mode & 0o077 == 0
        raise ValueError
    assert list(tmp_path.iterdir()) == []

"""The project folder: one hash over all of it, a copy of what was hashed, and no way out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tongchou.integrations.ansible import project
from tongchou.integrations.ansible.project import ProjectError, take


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "project"
    (found / "roles").mkdir(parents=True)
    (found / "site.yml").write_text("- hosts: all\n")
    (found / "roles" / "x.j2").write_text("x")
    (found / "run.sh").write_text("#!/bin/sh\n")
    (found / "run.sh").chmod(0o755)
    (tmp_path / "outside.yml").write_text("- hosts: all\n")
    return found


def test_the_copy_is_what_was_hashed(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    digest = take(str(folder), "site.yml", copy)
    assert digest == take(str(folder), "site.yml") == take(str(copy), "site.yml")
    assert (copy / "roles" / "x.j2").read_text() == "x"
    assert oct((copy / "run.sh").stat().st_mode)[-3:] == "700"


def test_every_file_and_name_counts_and_hidden_ones_do_not(folder: Path) -> None:
    seen = {take(str(folder), "site.yml")}
    (folder / "roles" / "x.j2").write_text("y")
    seen.add(take(str(folder), "site.yml"))
    (folder / "roles" / "x.j2").rename(folder / "roles" / "z.j2")
    seen.add(take(str(folder), "site.yml"))
    (folder / "new.yml").write_text("")
    seen.add(take(str(folder), "site.yml"))
    assert len(seen) == 4
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("x")
    (folder / ".hidden").write_text("x")
    assert take(str(folder), "site.yml") in seen


@pytest.mark.parametrize(
    "name",
    ["../outside.yml", "/etc/x.yml", "roles/../../outside.yml", "./site.yml", "no.yml", "site.txt", "", "a//b.yml"],
)
def test_a_name_leads_nowhere_else(folder: Path, name: str) -> None:
    with pytest.raises(ProjectError):
        take(str(folder), name)


def test_links_and_pipes_are_refused(folder: Path, tmp_path: Path) -> None:
    link = folder / "link.yml"
    link.symlink_to(tmp_path / "outside.yml")
    with pytest.raises(ProjectError, match="link"):
        take(str(folder), "link.yml")
    link.unlink()
    link.symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(ProjectError, match="link"):
        take(str(folder), "site.yml")
    link.unlink()
    os.mkfifo(link)
    with pytest.raises(ProjectError):
        take(str(folder), "site.yml")


def test_what_is_missing_or_too_large_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProjectError, match=r"ansible\.project"):
        take("", "site.yml")
    with pytest.raises(ProjectError, match="no-such"):
        take("/no-such", "site.yml")
    monkeypatch.setattr(project, "MAX_BYTES", 5)
    with pytest.raises(ProjectError, match="5"):
        take(str(folder), "site.yml")

"""What is not documented fails here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tongchou.core.access import PERMISSIONS, SCOPES
from tongchou.incidents.reasons import SUSPECT_TEXTS
from tongchou.incidents.suspects import WEIGHTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_environment_variable_is_documented(language: str) -> None:
    used: set[str] = set()
    for path in [ROOT / "tongchou" / "settings.py", *(ROOT / "tongchou" / "cli").glob("*.py")]:
        used |= set(re.findall(r"TONGCHOU_[A-Z_]+[A-Z]", path.read_text()))
    page = (ROOT / "docs" / language / "settings.md").read_text()
    assert sorted(name for name in used if f"`{name}`" not in page) == []


def test_both_languages_have_the_same_pages() -> None:
    english = {path.name for path in (ROOT / "docs" / "en").glob("*.md")}
    chinese = {path.name for path in (ROOT / "docs" / "zh").glob("*.md")}
    assert english == chinese


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.name} -> {target}")
    assert broken == []


def test_make_targets_named_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for name in re.findall(r"(?:`|^)make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE):
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_reason_of_a_suspect_is_documented_with_its_points(language: str) -> None:
    page = (ROOT / "docs" / language / "suspects.md").read_text()
    assert [code for code, points in WEIGHTS.items() if f"| `{code}` | {points:+g} |" not in page] == []
    assert set(WEIGHTS) <= set(SUSPECT_TEXTS)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_permission_is_documented_with_its_role_and_scopes(language: str) -> None:
    page = (ROOT / "docs" / language / "security-model.md").read_text()
    wanted = []
    for name, role in sorted(PERMISSIONS.items()):
        scopes = [f"`{scope}`" for scope, words in SCOPES.items() if name.rpartition(".")[2] in words]
        wanted.append(f"| `{name}` | `{role.value}` | {', '.join(scopes) or '`all`'} |")
    missing = [line for line in wanted if line not in page]
    assert not missing, "add to docs/*/security-model.md:\n" + "\n".join(missing)
    told = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", page, re.MULTILINE)
    assert set(told) <= set(PERMISSIONS), "the page tells of permissions that are gone"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("program", ["haproxy", "nginx"])
def test_the_configurations_of_balancers_are_ones_their_programs_take(
    program: str, language: str, tmp_path: Path
) -> None:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed")
    page = (ROOT / "docs" / language / "nodes.md").read_text()
    block = re.search(rf"```{program}\n(.*?)```", page, re.DOTALL)
    assert block
    file = tmp_path / "config"
    file.write_text(block.group(1).replace("listen 80;", "listen 18080;"))
    more = ["-c", "-f", str(file)] if program == "haproxy" else ["-t", "-p", str(tmp_path), "-c", str(file)]
    done = subprocess.run([found, *more], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr

"""What core checks of the process and the data folder: each is really broken here."""

from __future__ import annotations

import os
import resource
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation

from tongchou.core import health_checks, secrets
from tongchou.core.access import system
from tongchou.core.checks import Surroundings

HERE = Surroundings(in_server=False, running=False)
ROOT = os.geteuid() == 0


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """The words are compared in English, whatever language a test before left on."""
    with translation.override("en"):
        yield


@pytest.fixture
def data(tmp_path: Path, settings: Any) -> Path:
    """A data folder with three keys, as serve makes it."""
    folder = tmp_path / "data"
    (folder / "keys").mkdir(mode=0o700, parents=True)
    folder.chmod(0o700)
    for name in ("django.key", "secrets.key", "ledger.key"):
        (folder / "keys" / name).touch(mode=0o600)
        (folder / "keys" / name).write_text("k" * 50)
    settings.DATA = folder
    settings.TELEMETRY_PATH = folder / "telemetry"
    settings.SECRETS_KEY_FILE, settings.LEDGER_KEY_FILE = (
        folder / "keys" / "secrets.key",
        folder / "keys" / "ledger.key",
    )
    return folder


def test_a_sound_folder_with_its_keys_is_well(data: Path) -> None:
    assert health_checks.data_folder(HERE).status == "ok"
    assert health_checks.keys(HERE).status == "ok"
    assert health_checks.versions(HERE).status == "ok"


def test_a_folder_others_may_open(data: Path) -> None:
    data.chmod(0o755)
    found = health_checks.data_folder(HERE)
    assert found.status == "warn"
    assert f"chmod 700 {data}" in str(found.remedy)


def test_a_folder_that_is_gone(data: Path) -> None:
    found = health_checks.look_at_folder(data / "nowhere")
    assert found.status == "fail"
    assert "TONGCHOU_DATA" in str(found.remedy)


@pytest.mark.skipif(not ROOT, reason="only root can give a folder away")
def test_a_folder_of_somebody_else(data: Path) -> None:
    os.chown(data, 12345, 12345)
    found = health_checks.data_folder(HERE)
    assert found.status == "fail"
    assert "12345" in str(found.detail)
    assert "chown" in str(found.remedy)


@pytest.mark.skipif(ROOT, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(data: Path) -> None:
    data.chmod(0o500)
    assert health_checks.data_folder(HERE).status == "fail"


def test_a_key_others_may_read_and_an_empty_one(data: Path) -> None:
    key = data / "keys" / "ledger.key"
    key.chmod(0o644)
    with translation.override("en"):
        found = health_checks.keys(HERE)
        assert (found.status, str(found.remedy)) == ("fail", f"Run: chmod 600 {key}")
    assert "kkk" not in str(found.detail)
    key.chmod(0o600)
    key.write_text("")
    assert health_checks.keys(HERE).status == "fail"


@pytest.mark.django_db
def test_a_key_that_is_gone_while_secrets_are_kept(data: Path, settings: Any) -> None:
    (data / "keys" / "secrets.key").unlink()
    assert health_checks.keys(HERE).status == "ok", "it is made when it is first needed"
    secrets._box.cache_clear()
    secrets.put(actor=system("tests"), name="a", value="b")
    assert health_checks.keys(HERE).status == "ok"
    (data / "keys" / "secrets.key").unlink()
    found = health_checks.keys(HERE)
    assert found.status == "fail"
    assert "secrets.key" in str(found.detail)
    secrets._box.cache_clear()


Usage = namedtuple("Usage", "total used free")


def test_a_disk_that_fills_up(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, status in ((100_000_000_000, "ok"), (3_000_000_000, "warn"), (100_000_000, "fail")):
        monkeypatch.setattr(health_checks.shutil, "disk_usage", lambda path, free=free: Usage(free, 0, free))
        assert health_checks.data_space(HERE).status == status


@pytest.fixture
def few_files() -> Iterator[None]:
    """This process may open 1,024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_few_open_files(few_files: None) -> None:
    found = health_checks.limits(HERE)
    assert found.status == "warn"
    assert "LimitNOFILE" in str(found.remedy)


def test_a_window_that_does_not_fit_the_memory(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_checks, "LEAST_OPEN_FILES", 1)
    assert health_checks.limits(HERE).status == "ok"
    settings.TELEMETRY_WINDOW_MAX_BYTES = 2**50
    assert "TONGCHOU_TELEMETRY_WINDOW_MAX_BYTES" in str(health_checks.limits(HERE).remedy)


def test_the_control_groups_limit_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("123456789\n")
    assert health_checks.memory_limit_bytes(tmp_path) == 123456789
    (tmp_path / "memory.max").write_text("max\n")
    assert health_checks.memory_limit_bytes(tmp_path) != 123456789


def test_a_proxy_variable_is_named_and_its_value_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert health_checks.proxy_variables(HERE).status == "ok"
    monkeypatch.setenv("https_proxy", "http://me:hunter2@proxy:3128")
    found = health_checks.proxy_variables(HERE)
    assert found.status == "warn"
    assert "HTTPS_PROXY" in str(found.detail)
    assert "hunter2" not in f"{found.detail}{found.remedy}"


def test_a_time_zone_nobody_knows(settings: Any) -> None:
    settings.DEFAULT_USER_TIME_ZONE = "Mars/Olympus"
    assert health_checks.time_zones(HERE).status == "fail"
    settings.DEFAULT_USER_TIME_ZONE = "Asia"  # a folder of the database
    assert health_checks.time_zones(HERE).status == "fail"
    settings.DEFAULT_USER_TIME_ZONE = "Europe/Berlin"
    assert health_checks.time_zones(HERE).status == "ok"


def test_a_catalogue_that_is_not_compiled_or_old(tmp_path: Path) -> None:
    folder = tmp_path / "zh_Hans" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.po").write_text("")
    assert health_checks.look_at_translations([tmp_path]).status == "warn"
    (folder / "django.mo").write_text("")
    assert health_checks.look_at_translations([tmp_path]).status == "ok"
    os.utime(folder / "django.mo", (1, 1))
    assert health_checks.look_at_translations([tmp_path]).status == "warn"


def test_debug_mode_is_told(settings: Any) -> None:
    settings.DEBUG = True
    assert health_checks.debug(HERE).status == "warn"

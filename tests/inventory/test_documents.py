from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.integrations import laws
from tongchou.core import settings_store
from tongchou.core.problems import Invalid, TooLarge, Unavailable
from tongchou.inventory import documents
from tongchou.inventory.documents import Document

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "exports"
    (made / "sub").mkdir(parents=True)
    (made / "sub" / "a.json").write_text("[1]")
    (tmp_path / "secret.json").write_text('["secret"]')
    settings_store.put(actor=laws.ACTOR, key=documents.FOLDERS, value=[str(made)])
    return made


def read(path: object, **more: float) -> Document:
    return documents.of_settings({"path": str(path), **more})


def test_a_file_below_an_allowed_folder_is_read(folder: Path) -> None:
    assert read(folder / "sub" / "a.json") == Document("a.json", b"[1]")


def test_a_link_may_stay_within_and_not_lead_out(folder: Path) -> None:
    (folder / "current").symlink_to(folder / "sub")
    assert read(folder / "current" / "a.json").body == b"[1]"
    (folder / "out.json").symlink_to(folder.parent / "secret.json")
    (folder / "outside").symlink_to(folder.parent)
    for path in ("out.json", "outside/secret.json", "../secret.json", "sub/../../secret.json"):
        with pytest.raises(Invalid) as refusal:
            read(f"{folder}/{path}")
        assert refusal.value.code == "source.folder"


@pytest.mark.parametrize("path", ["exports/sub/a.json", "", "/", "/proc/self/environ", "/etc/passwd"])
def test_elsewhere_nothing_is_read(folder: Path, path: str) -> None:
    with pytest.raises(Invalid):
        read(path)


def test_what_is_no_plain_file_is_refused_without_waiting(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    for name in ("pipe", "sub"):
        with pytest.raises(Unavailable):
            read(folder / name)


def test_too_large_and_too_old_are_refused(folder: Path) -> None:
    path = folder / "sub" / "a.json"
    with pytest.raises(TooLarge):
        documents.of_settings({"path": str(path)}, most=2)
    long_ago = time.time() - 7200
    os.utime(path, (long_ago, long_ago))
    assert read(path).body
    with pytest.raises(Unavailable) as refusal:
        read(path, max_age_hours=1)
    assert refusal.value.code == "source.file_old"


def test_the_setting_takes_full_paths_only() -> None:
    for bad in (["relative"], ["/"], ["/a/../b"], [1]):
        with pytest.raises(Invalid):
            settings_store.put(actor=laws.ACTOR, key=documents.FOLDERS, value=bad)


@pytest.mark.parametrize("text", ['{"a": "ü"}'])
def test_json_comes_in_the_encodings_of_windows_too(text: str) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert documents.json_of(Document("x", text.encode(encoding))) == {"a": "ü"}
    for body in (b"{", b"\xff\xfe\x00\xd8", b"[" * 100_000):
        with pytest.raises(Invalid):
            documents.json_of(Document("x", body))

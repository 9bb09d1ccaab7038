from __future__ import annotations

import errno
import tarfile
from pathlib import Path

import pytest

from tongchou.core.backup import archive
from tongchou.core.backup.archive import Writer
from tongchou.core.backup.crypt import Key
from tongchou.core.problems import Invalid, NotFound, StorageFull

KEY = Key(b"k" * 32, kind=2)


def make(folder: Path, key: Key | None = None, size: int = 3_000_000) -> Path:
    (folder / "part").write_bytes(bytes(range(256)) * (size // 256))
    with Writer(folder / "one.backup", {"version": "9"}, key=key) as writer:
        writer.add("part/one", folder / "part")
        writer.add_bytes("part/two", b"two")
        writer.finish(counts={"rows": 3})
    return folder / "one.backup"


@pytest.mark.parametrize("key", [None, KEY])
def test_files_and_manifest_come_back(tmp_path: Path, key: Key | None) -> None:
    path = make(tmp_path, key)
    assert archive.is_encrypted(path) == (key is not None)
    into = tmp_path / "into"
    manifest = archive.read(path, key=key, into=into)
    assert manifest["counts"] == {"rows": 3}
    assert (into / "part/one").read_bytes() == (tmp_path / "part").read_bytes()
    assert (into / "part/two").read_bytes() == b"two"
    assert path.stat().st_mode & 0o077 == 0
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_a_plain_backup_is_a_tar_that_every_tool_reads(tmp_path: Path) -> None:
    with tarfile.open(make(tmp_path)) as tar:
        assert tar.getnames() == ["header.json", "part/one", "part/two", "manifest.json"]


def test_a_flipped_bit_and_a_cut_end_are_named(tmp_path: Path) -> None:
    whole = make(tmp_path).read_bytes()
    place = whole.index(bytes(range(256)))
    for damage in (
        whole[:place] + b"\xff" + whole[place + 1 :],
        whole[: len(whole) // 2],
        whole[: whole.index(b"manifest.json")],
        b"not a backup at all" * 100,
        b"",
    ):
        (tmp_path / "damaged.backup").write_bytes(damage)
        with pytest.raises(Invalid) as refused:
            archive.read(tmp_path / "damaged.backup", key=None)
        assert refused.value.code == "backup.damaged"
        assert refused.value.remedy


def test_an_encrypted_one_without_a_key_and_a_missing_one_say_so(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"backup\.encrypted"):
        archive.read(make(tmp_path, KEY), key=None)
    with pytest.raises(NotFound, match=r"backup\.no_file"):
        archive.read(tmp_path / "none.backup", key=None)


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    evil = tmp_path / "evil.backup"
    for name in ("../evil", "/etc/evil", "a/../../b", "a/.hidden"):
        with tarfile.open(evil, "w") as tar:
            tar.addfile(tarfile.TarInfo(name))
        with pytest.raises(Invalid, match="damaged"):
            archive.read(evil, key=None, into=tmp_path / "into")
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(evil, "w") as tar:
        tar.addfile(link)
    with pytest.raises(Invalid, match="damaged"):
        archive.read(evil, key=None, into=tmp_path / "into")


def test_an_error_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    with (
        pytest.raises(StorageFull, match=r"backup\.no_space"),
        Writer(tmp_path / "two.backup", {"version": "9"}, key=None),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert set(tmp_path.iterdir()) == before


def test_a_format_of_the_future_is_refused(tmp_path: Path) -> None:
    with Writer(tmp_path / "new.backup", {"version": "99.0", "format": archive.FORMAT + 1}, key=None) as writer:
        writer.finish()
    with pytest.raises(Invalid, match=r"backup\.newer.*99\.0"):
        archive.read(tmp_path / "new.backup", key=None)

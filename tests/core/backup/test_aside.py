"""What is there is moved aside whole or stays: a place that cannot be moved costs nothing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tongchou.core.backup import aside
from tongchou.core.problems import Conflict, Unavailable


@pytest.fixture
def places(tmp_path: Path, monkeypatch) -> list[Path]:
    """Three folders with a file each, none of them the database of the tests."""
    monkeypatch.setattr(aside.connections, "close_all", lambda: None)
    found = [tmp_path / name for name in ("one", "two", "three")]
    for each in found:
        each.mkdir()
        (each / "kept").write_text(each.name)
    return found


def holds(places: list[Path]) -> bool:
    return [(each / "kept").read_text() for each in places] == [each.name for each in places]


def test_a_mount_point_among_them_loses_nothing(places: list[Path], monkeypatch) -> None:
    rename = Path.rename

    def busy(path: Path, target: Path) -> Path:
        if path == places[1]:
            raise OSError(errno.EBUSY, "Device or resource busy")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", busy)
    with pytest.raises(Unavailable, match=r"restore\.not_moved"), aside.Aside(places, "then", force=True):
        raise AssertionError("nothing may be written now")
    assert holds(places)
    assert len(list(places[0].parent.iterdir())) == 3


def test_a_failure_puts_back_and_success_keeps_both(places: list[Path]) -> None:
    with pytest.raises(Conflict):
        aside.Aside(places, "then", force=False)
    with pytest.raises(ValueError), aside.Aside(places, "then", force=True):
        assert not places[0].exists()
        places[0].mkdir()
        (places[0] / "new").write_text("half")
        raise ValueError
    assert holds(places)
    assert not (places[0] / "new").exists()
    with aside.Aside(places, "then", force=True) as moved:
        places[0].mkdir()
        moved.keep()
    assert list(places[0].iterdir()) == []
    assert moved.moved_to == [f"{each}.then" for each in places]
    assert (Path(moved.moved_to[0]) / "kept").read_text() == "one"


def test_a_place_that_cannot_be_put_back_keeps_no_other_from_it_and_is_named(places: list[Path], monkeypatch) -> None:
    rename = Path.rename

    def broken(path: Path, target: Path) -> Path:
        if path.name == f"{places[0].name}.then":
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(Unavailable, match=r"restore\.not_put_back") as told, aside.Aside(places, "then", force=True):
        raise ValueError
    assert f"{places[0].name}.then" in str(told.value.detail)
    assert not places[0].exists()
    assert all(each.exists() for each in places[1:])


def test_what_was_moved_and_cannot_come_back_is_named_when_the_next_could_not_be_moved(
    places: list[Path], monkeypatch
) -> None:
    rename = Path.rename

    def broken(path: Path, target: Path) -> Path:
        if path == places[1] or path.name.endswith(".then"):
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(Unavailable, match=r"restore\.not_put_back") as told, aside.Aside(places, "then", force=True):
        raise AssertionError("nothing may be written now")
    assert f"{places[0].name}.then" in str(told.value.detail)

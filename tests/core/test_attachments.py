"""Files: durable before their row, within limits, behind the noun's gate, deleted with a way back, cleaned at last."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.core.talk_scene import TESTS, Scene, set_up
from tests.core.test_file_kinds import png
from tongchou.core import attachments, comments, file_store, settings_store
from tongchou.core.access import Actor
from tongchou.core.models import Event, User
from tongchou.core.models_talk import Attachment
from tongchou.core.problems import AccessDenied, Invalid, NotFound, StorageFull, TooLarge

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.FILES_PATH = tmp_path / "files"
    return tmp_path / "files"


@pytest.fixture
def scene(db: None) -> Scene:
    return set_up()


def attach(scene: Scene, data: bytes = b"hello", on: str = "", who: User | None = None, **more: Any) -> Attachment:
    chunks = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    actor = scene.as_(who or scene.anna)
    return attachments.add(actor=actor, on=on or scene.on, name="a/b.log", chunks=chunks, size=len(data), **more)


def kept(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.rglob("*") if each.is_file())


def test_a_file_lies_under_its_hash_once(scene: Scene, folder: Path) -> None:
    first, second = attach(scene), attach(scene, on=scene.blues)
    digest = hashlib.sha256(b"hello").hexdigest()
    assert (first.sha256, first.name, first.size, first.content_type) == (digest, "b.log", 5, "text/plain")
    assert second.pk != first.pk
    assert [str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()] == [f"{digest[:2]}/{digest}"]
    assert b"".join(attachments.content(first)) == b"hello"
    assert Event.objects.filter(verb="attachment.added").count() == 2


def test_a_file_over_the_limit_leaves_nothing(scene: Scene, folder: Path) -> None:
    settings_store.put(actor=TESTS, key=attachments.MAX_BYTES, value=2000)
    with pytest.raises(TooLarge) as refused:
        attach(scene, b"x" * 2001)
    assert refused.value.field == "file"
    with pytest.raises(TooLarge):  # whoever says less than they send
        attachments.add(actor=scene.as_(scene.anna), on=scene.on, name="x", chunks=iter([b"x" * 1500] * 9), size=1)
    assert kept(folder) == []
    assert not Attachment.objects.exists()


def test_the_files_of_one_thing_have_a_limit_together(scene: Scene) -> None:
    settings_store.put(actor=TESTS, key=attachments.MAX_TOTAL_BYTES, value=3000)
    row = attach(scene, b"x" * 2000)
    with pytest.raises(TooLarge, match=r"file\.quota"):
        attach(scene, b"y" * 1001)
    attachments.delete(actor=scene.as_(scene.anna), attachment=row)
    attach(scene, b"y" * 1001)


def test_a_full_disk_tells_and_leaves_nothing_half(scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(file_store.os, "fsync", full)
    with pytest.raises(StorageFull) as refused:
        attach(scene)
    assert str(folder) in str(refused.value.remedy)
    assert kept(folder) == []
    assert not Attachment.objects.exists()
    monkeypatch.undo()
    assert b"".join(attachments.content(attach(scene))) == b"hello"


def test_an_upload_that_breaks_off_leaves_nothing(scene: Scene, folder: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(Exception, match="file"):
        attachments.add(actor=scene.as_(scene.anna), on=scene.on, name="x", chunks=broken())
    assert kept(folder) == []


def test_another_team_gets_nothing_by_guessing(scene: Scene) -> None:
    row = attach(scene, on=scene.blues)
    dora = scene.as_(scene.dora)
    for act in (
        lambda: attachments.get(dora, row.pk),
        lambda: attachments.listing(dora, scene.blues),
        lambda: attachments.delete(actor=dora, attachment=row),
        lambda: attach(scene, on=scene.blues, who=scene.dora),
    ):
        with pytest.raises(NotFound):
            act()
    assert attachments.get(scene.as_(scene.cora), row.pk) == row


def test_a_viewer_loads_and_does_not_attach(scene: Scene, viewer_actor: Actor) -> None:
    row = attach(scene)
    assert attachments.get(viewer_actor, row.pk) == row
    with pytest.raises(AccessDenied):
        attachments.add(actor=viewer_actor, on=scene.on, name="x", chunks=[b"x"])


def test_a_file_waits_for_its_comment_and_goes_with_it(scene: Scene) -> None:
    row = attach(scene, png(2, 2), staged=True)
    anna, ben = scene.as_(scene.anna), scene.as_(scene.ben)
    assert list(attachments.listing(anna, scene.on)) == []
    with pytest.raises(NotFound):
        attachments.get(ben, row.pk)
    with pytest.raises(Invalid):  # somebody else's
        comments.add(actor=ben, on=scene.on, text="look", files=[row.pk])
    comment, _event = comments.add(actor=anna, on=scene.on, text="", files=[row.pk])
    assert attachments.get(ben, row.pk).comment_id == comment.pk
    comments.delete(actor=anna, comment=comment)
    with pytest.raises(NotFound):
        attachments.get(ben, row.pk)


def test_deleting_is_the_uploaders_or_an_administrators_and_can_be_undone(scene: Scene, admin_actor: Actor) -> None:
    row = attach(scene)
    with pytest.raises(AccessDenied):
        attachments.delete(actor=scene.as_(scene.ben), attachment=row)
    attachments.delete(actor=admin_actor, attachment=row)
    with pytest.raises(NotFound):
        attachments.get(scene.as_(scene.ben), row.pk)
    attachments.restore(actor=admin_actor, attachment=row)
    assert attachments.get(scene.as_(scene.ben), row.pk) == row


def test_the_cleaner_takes_only_what_nobody_points_at_and_is_old(scene: Scene, folder: Path) -> None:
    old, staged, fresh = attach(scene, b"old"), attach(scene, b"staged", staged=True), attach(scene, b"fresh")
    attachments.delete(actor=scene.as_(scene.anna), attachment=old)
    attachments.tidy()
    assert len(kept(folder)) == 3
    long_ago = timezone.now() - timedelta(days=31)
    Attachment.objects.filter(pk=old.pk).update(deleted_at=long_ago)
    Attachment.objects.filter(pk=staged.pk).update(created_at=long_ago)
    attachments.tidy()
    assert len(kept(folder)) == 3  # younger than a day: an upload of the same bytes may be under way
    for name in kept(folder):
        os.utime(folder / name[:2] / name, (0, 0))
    attachments.tidy()
    assert kept(folder) == [fresh.sha256]
    with pytest.raises(NotFound) as lost:
        file_store.read(old.sha256)
    assert lost.value.code == "file.lost"


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "g" * 64])
def test_only_a_hash_names_a_file(name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        file_store.path_of(name)

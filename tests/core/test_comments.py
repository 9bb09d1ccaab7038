"""Comments: who may write and read, what is kept, what is told; nothing of what is hidden is left readable."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from tests.core.talk_scene import TESTS, Scene, set_up
from tongchou.core import audience, comments, ledger, settings_store
from tongchou.core.access import Actor
from tongchou.core.models import Event
from tongchou.core.models_talk import Comment
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene(db: None) -> Scene:
    return set_up()


def write(scene: Scene, text: str, on: str = "", **more: object) -> Comment:
    return comments.add(actor=scene.as_(scene.anna), on=on or scene.on, text=text, **more)[0]  # type: ignore[arg-type]  # of tests


def test_a_comment_is_kept_and_its_text_is_not_in_the_ledger(scene: Scene) -> None:
    row, event = comments.add(actor=scene.as_(scene.anna), on=scene.on, text="  the disk is *full*\r\n")
    assert (row.text, row.author, row.version) == ("the disk is *full*", scene.anna, 1)
    assert event.subject == scene.on
    assert "disk" not in str(event.payload)
    assert [each.pk for each in comments.listing(scene.as_(scene.ben), scene.on)] == [row.pk]


@pytest.mark.parametrize("text", ["", " \n ", "x" * 20_001, "好" * 6_667, "a\0b"])
def test_text_that_does_not_fit_is_refused_with_the_limit(scene: Scene, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        write(scene, text)
    assert refused.value.field == "text"
    assert "20,000" in str(refused.value.detail)
    assert not Comment.objects.exists()


def test_another_team_can_neither_read_nor_write_nor_guess(scene: Scene) -> None:
    row = write(scene, "secret", scene.blues)
    dora = scene.as_(scene.dora)
    for act in (
        lambda: comments.listing(dora, scene.blues),
        lambda: comments.add(actor=dora, on=scene.blues, text="hello"),
        lambda: comments.get(dora, row.pk),
        lambda: comments.edit(actor=dora, comment=row, text="x", version=1),
        lambda: comments.delete(actor=dora, comment=row),
        lambda: comments.editions(dora, row),
    ):
        with pytest.raises(NotFound):
            act()
    with pytest.raises(NotFound) as absent:
        comments.get(dora, uuid4())
    with pytest.raises(NotFound) as hidden:
        comments.get(dora, row.pk)
    assert absent.value.code == hidden.value.code
    assert comments.get(scene.as_(scene.cora), row.pk) == row


def test_viewers_write_where_the_setting_lets_them(scene: Scene, viewer_actor: Actor) -> None:
    with pytest.raises(AccessDenied):
        comments.add(actor=viewer_actor, on=scene.on, text="hello")
    settings_store.put(actor=TESTS, key=comments.VIEWERS_MAY_WRITE, value=True)
    assert comments.add(actor=viewer_actor, on=scene.on, text="hello")[0].author_name == "viewer"


def test_an_edit_keeps_what_stood_there_and_loses_nobodys_words(scene: Scene) -> None:
    row = write(scene, "one")
    anna = scene.as_(scene.anna)
    comments.edit(actor=anna, comment=row, text="two", version=1)
    assert (row.text, row.version, row.edited_at is not None) == ("two", 2, True)
    with pytest.raises(Conflict) as refused:
        comments.edit(actor=anna, comment=row, text="three", version=1)
    assert refused.value.field == "version"
    assert [(each.version, each.text) for each in comments.editions(anna, row)] == [(1, "one")]
    with pytest.raises(AccessDenied, match="not_yours"):
        comments.edit(actor=scene.as_(scene.ben), comment=row, text="mine", version=2)


def test_what_is_taken_back_is_gone_for_all_and_comes_back_for_an_hour(scene: Scene) -> None:
    row, event = comments.add(actor=scene.as_(scene.anna), on=scene.on, text="oops")
    anna = scene.as_(scene.anna)
    comments.delete(actor=anna, comment=row)
    assert not row.shown
    assert comments.told_by([event]) == {}
    assert comments.restore(actor=anna, comment=row).shown
    comments.delete(actor=anna, comment=row)
    Comment.objects.filter(pk=row.pk).update(deleted_at=timezone.now() - comments.UNDO - timedelta(seconds=1))
    row.refresh_from_db()
    with pytest.raises(Conflict, match="undo"):
        comments.restore(actor=anna, comment=row)


def test_an_administrator_hides_with_a_reason_and_nobody_else(scene: Scene, admin_actor: Actor) -> None:
    row = write(scene, "rude")
    comments.edit(actor=scene.as_(scene.anna), comment=row, text="ruder", version=1)
    with pytest.raises(AccessDenied):
        comments.hide(actor=scene.as_(scene.ben), comment=row, reason="no")
    with pytest.raises(Invalid):
        comments.hide(actor=admin_actor, comment=row, reason="  ")
    comments.hide(actor=admin_actor, comment=row, reason="names a customer")
    assert (row.shown, row.hidden_reason) == (False, "names a customer")
    assert comments.editions(scene.as_(scene.anna), row) == []
    assert Event.objects.get(verb="comment.hidden").payload["reason"] == "names a customer"
    assert comments.unhide(actor=admin_actor, comment=row).shown


def test_answers_are_one_level_deep_and_stay_with_their_noun(scene: Scene) -> None:
    first = write(scene, "question")
    answer = write(scene, "answer", reply_to=first.pk)
    assert write(scene, "again", reply_to=answer.pk).parent_id == first.pk
    with pytest.raises(Invalid) as refused:
        write(scene, "elsewhere", scene.blues, reply_to=first.pk)
    assert refused.value.field == "reply_to"


def test_mentions_reach_people_and_teams_who_may_see(scene: Scene) -> None:
    row, event = comments.add(actor=scene.as_(scene.anna), on=scene.blues, text="@ben @{Team Blue} @nobody look")
    assert row.mentions == ["ben", "Team Blue"]
    assert set(event.payload["mentions"]) == {str(scene.ben.pk), str(scene.cora.pk)}
    for name in ("@dora", "@red"):
        with pytest.raises(Invalid, match=r"mention\.unseen") as refused:
            write(scene, f"{name} look", scene.blues)
        assert refused.value.value == name[1:]


def test_only_those_who_may_see_the_noun_are_offered(scene: Scene) -> None:
    def offered(on: str, begin: str) -> list[str]:
        return [each.name for each in audience.offers(on, begin)]

    assert offered(scene.blues, "") == ["anna", "ben", "cora", "Team Blue"]
    assert offered(scene.blues, "d") == []
    assert offered(scene.on, "red") == []  # dora sees only what red owns
    assert offered(scene.blues, "TEAM") == ["Team Blue"]


def test_the_event_comes_once(scene: Scene) -> None:
    write(scene, "one")
    assert ledger.events(about=scene.on, verbs=["comment.added"]).count() == 1

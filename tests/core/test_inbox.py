"""The inbox: told once, never of one's own acts nor of what one may not see; rows join; quiet hours are quiet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from tests.core.talk_scene import TESTS, Scene, set_up
from tongchou.core import comments, inbox, inbox_mail, jobs, settings_store, watching
from tongchou.core.models import Event, Membership, User
from tongchou.core.models_talk import InboxItem, InboxPreference, InboxSeen, InboxState, Reason, Watch
from tongchou.core.problems import Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Resource

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def scene(db: None) -> Scene:
    return set_up()


def say(scene: Scene, who: User, text: str, on: str = "") -> Event:
    event = comments.add(actor=scene.as_(who), on=on or scene.on, text=text)[1]
    jobs.run_due()
    return event


def box(scene: Scene, who: User) -> list[tuple[str, str, int]]:
    rows = inbox.listing(scene.as_(who))
    return [(each.ref, each.reason, each.count) for each in rows]


def test_a_mention_arrives_once_and_not_at_the_one_who_wrote(scene: Scene) -> None:
    event = say(scene, scene.anna, "@ben @anna look")
    assert box(scene, scene.ben) == [(scene.on, "mentioned", 1)]
    assert box(scene, scene.anna) == []
    inbox.deliver(event)  # a follower runs at least once
    assert box(scene, scene.ben) == [(scene.on, "mentioned", 1)]
    assert inbox.unread_count(scene.as_(scene.ben)) == 1


def test_many_comments_on_one_thing_are_one_row_with_the_weightiest_reason(scene: Scene) -> None:
    say(scene, scene.anna, "@ben look")
    for number in range(4):
        say(scene, scene.anna, f"and {number}")
    assert box(scene, scene.ben) == [(scene.on, "mentioned", 5)]
    row = InboxItem.objects.get(user=scene.ben)
    inbox.mark(actor=scene.as_(scene.ben), item=row, state="read")
    say(scene, scene.anna, "once more")
    assert box(scene, scene.ben) == [(scene.on, "watched", 1)]


def test_who_wrote_or_was_mentioned_watches_unless_they_chose_otherwise(scene: Scene) -> None:
    inbox_mail.choose(
        actor=scene.as_(scene.ben), mail="off", address="", quiet_from=0, quiet_until=0, no_watch=["mentioned"]
    )
    say(scene, scene.anna, "@ben look")
    assert list(Watch.objects.values_list("user__username", "reason")) == [("anna", "commented")]
    say(scene, scene.ben, "seen")
    assert box(scene, scene.anna) == [(scene.on, "watched", 1)]


def test_a_watch_ended_by_hand_does_not_come_back_but_a_mention_still_arrives(scene: Scene) -> None:
    ben = scene.as_(scene.ben)
    watching.watch(actor=ben, wanted=scene.on)
    watching.unwatch(actor=ben, wanted=scene.on)
    say(scene, scene.anna, "anybody?")
    assert box(scene, scene.ben) == []
    say(scene, scene.anna, "@ben?")
    assert box(scene, scene.ben) == [(scene.on, "mentioned", 1)]
    assert Watch.objects.get(user=scene.ben).muted


def test_a_team_is_watched_with_all_it_owns_and_only_from_inside(scene: Scene) -> None:
    team = watching.team_ref(scene.blue.pk)
    watching.watch(actor=scene.as_(scene.cora), wanted=team)
    with pytest.raises(NotFound):
        watching.watch(actor=scene.as_(scene.dora), wanted=team)
    say(scene, scene.anna, "hello", scene.blues)
    assert box(scene, scene.cora) == [(scene.blues, "watched", 1)]


def test_nobody_is_told_of_what_they_may_not_see_even_when_they_could_before(scene: Scene) -> None:
    watching.watch(actor=scene.as_(scene.cora), wanted=scene.blues)
    say(scene, scene.anna, "one", scene.blues)
    assert len(box(scene, scene.cora)) == 1
    Membership.objects.filter(user=scene.cora).update(team=scene.red)
    say(scene, scene.anna, "two", scene.blues)
    row = InboxItem.objects.get(user=scene.cora)
    assert row.count == 1
    assert inbox.seen(scene.as_(scene.cora), [row]) == []
    assert not InboxItem.objects.filter(user=scene.cora).exists()
    with pytest.raises(NotFound):
        watching.watch(actor=scene.as_(scene.cora), wanted=scene.blues)


def test_another_persons_row_is_not_to_be_had(scene: Scene) -> None:
    say(scene, scene.anna, "@ben look")
    row = InboxItem.objects.get(user=scene.ben)
    with pytest.raises(NotFound):
        inbox.get(scene.as_(scene.anna), row.pk)
    with pytest.raises(NotFound):
        inbox.mark(actor=scene.as_(scene.anna), item=row, state="read")


def test_later_comes_back_at_its_time_and_a_mention_wakes_it(scene: Scene) -> None:
    say(scene, scene.anna, "@ben look")
    ben, row = scene.as_(scene.ben), InboxItem.objects.get(user=scene.ben)
    inbox.mark(actor=ben, item=row, state="later", until=timezone.now() + timedelta(hours=1))
    assert (inbox.unread_count(ben), box(scene, scene.ben)) == (0, [])
    say(scene, scene.anna, "more")
    assert inbox.unread_count(ben) == 0
    InboxItem.objects.filter(pk=row.pk).update(later_until=timezone.now() - timedelta(seconds=1))
    assert inbox.unread_count(ben) == 1
    inbox.mark(actor=ben, item=row, state="later", until=timezone.now() + timedelta(hours=1))
    say(scene, scene.anna, "@ben now!")
    assert inbox.unread_count(ben) == 1
    for until in (None, timezone.now() - timedelta(hours=1), timezone.now() + timedelta(days=91)):
        with pytest.raises(Invalid) as refused:
            inbox.mark(actor=ben, item=row, state="later", until=until)
        assert refused.value.field == "until"


def test_all_read_leaves_what_came_meanwhile(scene: Scene) -> None:
    say(scene, scene.anna, "@ben look")
    drawn = timezone.now()
    say(scene, scene.anna, "@ben here, too", scene.blues)
    assert inbox.mark_all_read(actor=scene.as_(scene.ben), until=drawn) == 1
    assert [each.ref for each in inbox.listing(scene.as_(scene.ben), box="unread")] == [scene.blues]


def test_a_hold_on_a_watched_resource_is_told(scene: Scene) -> None:
    watching.watch(actor=scene.as_(scene.ben), wanted=scene.on)
    row = Resource.objects.get(name="free")
    inventory.place_hold(actor=scene.as_(scene.anna), resource=row, kind="maintenance", reason="disk")
    jobs.run_due()
    assert box(scene, scene.ben) == [(ref(row), "watched", 1)]


def test_old_rows_go_and_waiting_ones_stay(scene: Scene) -> None:
    say(scene, scene.anna, "@ben look")
    old = timezone.now() - timedelta(days=91)
    InboxItem.objects.update(last_at=old)
    Event.objects.update(recorded_at=old)
    inbox.tidy()
    assert InboxItem.objects.count() == 1
    assert not InboxSeen.objects.exists()
    InboxItem.objects.update(state=InboxState.READ)
    inbox.tidy()
    assert not InboxItem.objects.exists()


NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("hour", "begin", "end", "quiet"),
    [(23, 22, 7, True), (3, 22, 7, True), (7, 22, 7, False), (12, 22, 7, False), (12, 9, 17, True), (5, 0, 0, False)],
)
def test_quiet_hours_may_pass_midnight(hour: int, begin: int, end: int, quiet: bool) -> None:
    assert inbox_mail.quiet(hour, begin, end) is quiet


def test_when_mail_is_due() -> None:
    def due(rhythm: str, minutes: float, mailed: datetime | None = None, now: datetime = NOW) -> bool:
        first = now - timedelta(minutes=minutes)
        return inbox_mail.is_due(rhythm, first=first, mailed=mailed, now=now, zone=ZONE)

    assert (due("off", 900), due("at_once", 0.5), due("at_once", 2)) == (False, False, True)
    assert (due("hourly", 5, NOW - timedelta(minutes=59)), due("hourly", 5, NOW - timedelta(minutes=61))) == (
        False,
        True,
    )
    eight = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)  # 8:00 in Shanghai
    assert not due("daily", 60, now=eight - timedelta(minutes=1))
    assert due("daily", 60, now=eight + timedelta(minutes=1))
    assert not due("daily", 60, eight + timedelta(seconds=30), now=eight + timedelta(minutes=70))


def test_a_mail_names_what_waits_with_links_and_is_not_sent_twice(scene: Scene) -> None:
    ben = scene.as_(scene.ben)
    inbox_mail.choose(actor=ben, mail="at_once", address="ben@example.org", quiet_from=0, quiet_until=0, no_watch=[])
    say(scene, scene.anna, "@ben the password is hunter2")
    soon = timezone.now() + timedelta(minutes=2)
    [(preference, letter, rows)] = list(inbox_mail.letters(soon))
    assert letter.to == "ben@example.org"
    assert rows[0].pk.hex in letter.lines[0][1].replace("-", "")
    assert "hunter2" not in str(letter)
    assert "free" in letter.lines[0][0]
    inbox_mail.mailed(preference, rows, problem="refused")
    assert len(list(inbox_mail.letters(soon))) == 1
    inbox_mail.mailed(preference, rows)
    assert list(inbox_mail.letters(soon)) == []
    here = soon.astimezone(ZoneInfo(scene.ben.time_zone)).hour
    say(scene, scene.anna, "@ben again")
    later = soon + timedelta(minutes=2)
    InboxPreference.objects.update(quiet_from=here, quiet_until=(here + 2) % 24)
    assert list(inbox_mail.letters(later)) == []


def test_choices_that_do_not_fit_name_their_field(scene: Scene) -> None:
    good: dict[str, object] = {
        "mail": "daily",
        "address": "a@example.org",
        "quiet_from": 0,
        "quiet_until": 0,
        "no_watch": [],
    }
    for field, value in (
        ("mail", "often"),
        ("address", "a@b\r\nBcc: x@example.org"),
        ("quiet_from", 24),
        ("no_watch", [Reason.DUE.value]),
    ):
        with pytest.raises(Invalid) as refused:
            inbox_mail.choose(actor=scene.as_(scene.ben), **(good | {field: value}))  # type: ignore[arg-type]  # of tests
        assert refused.value.field == field


def test_mail_stays_within_the_domains_an_operator_allows(scene: Scene) -> None:
    settings_store.put(actor=TESTS, key=inbox_mail.DOMAINS, value="example.org, corp.example")
    with pytest.raises(Invalid, match=r"inbox\.address"):
        inbox_mail.choose(
            actor=scene.as_(scene.ben), mail="daily", address="b@evil.example", quiet_from=0, quiet_until=0, no_watch=[]
        )

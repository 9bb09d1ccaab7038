"""The inbox by mail, against a real SMTP server: to the person alone, once, and a refusal is kept and tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.core.talk_scene import TESTS, Scene, set_up
from tests.integrations.smtp.sink import Sink, listening
from tongchou.alerting.mailing import send_inboxes
from tongchou.alerting.models import Channel
from tongchou.core import comments, inbox_mail, jobs, settings_store
from tongchou.core.models import User
from tongchou.core.models_talk import InboxItem, InboxPreference

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    settings.PUBLIC_URL = "https://ops.example.org"


def past(**time: int) -> None:
    ago = timezone.now() - timedelta(**time)
    InboxItem.objects.update(changed_at=ago, mail_due_since=ago)


@pytest.fixture
def scene(db: None) -> Scene:
    scene = set_up()
    User.objects.update(language="en")
    inbox_mail.choose(
        actor=scene.as_(scene.ben), mail="at_once", address="ben@example.org", quiet_from=0, quiet_until=0, no_watch=[]
    )
    comments.add(actor=scene.as_(scene.anna), on=scene.on, text="@ben <b>hunter2</b>")
    jobs.run_due()
    past(minutes=2)
    return scene


def channel(port: int) -> None:
    told = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "username": "",
        "from": "tongchou@example.org",
        "to": ["all@example.org"],
        "language": "en",
        "timeout_seconds": 5.0,
    }
    Channel.objects.create(name="mail", kind="smtp", settings=told)
    settings_store.put(actor=TESTS, key=inbox_mail.CHANNEL, value="mail")


def test_a_mail_goes_to_the_person_alone_and_once(scene: Scene) -> None:
    with listening(Sink()) as sink:
        channel(sink.port)
        assert (send_inboxes(), send_inboxes()) == (1, 0)
    [(sender, to, _data)] = sink.mails
    assert (sender, to) == ("tongchou@example.org", ["ben@example.org"])
    [mail] = sink.parsed()
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]  # it has one
    assert "free: You were mentioned (1 new, last by anna)" in text
    assert f"https://ops.example.org/inbox/{InboxItem.objects.get().pk}" in text
    assert "hunter2" not in mail.as_string()


def test_a_refusal_is_kept_for_the_person_to_read_and_tried_again(scene: Scene) -> None:
    with listening(Sink(RCPT="550 no such box")) as sink:
        channel(sink.port)
        assert send_inboxes() == 0
    assert "550" in InboxPreference.objects.get().mail_problem
    assert InboxItem.objects.get().mail_due


def test_without_a_channel_nothing_is_sent(scene: Scene) -> None:
    assert send_inboxes() == 0
    assert InboxItem.objects.get().mail_due


def told_again(scene: Scene) -> None:
    comments.add(actor=scene.as_(scene.anna), on=scene.on, text="@ben again")
    jobs.run_due()


def test_what_goes_on_happening_does_not_put_a_mail_off(scene: Scene) -> None:
    with listening(Sink()) as sink:
        channel(sink.port)
        told_again(scene)
        assert send_inboxes() == 1, "a minute after the first, whatever came a moment ago"
        told_again(scene)
        assert send_inboxes() == 0, "what comes after a mail waits its minute, so that it comes together"
        past(minutes=2)
        told_again(scene)
        assert send_inboxes() == 1
    assert "(2 new" in sink.parsed()[0].get_body(("plain",)).get_content()  # type: ignore[union-attr]  # it has one


def test_what_happens_while_a_mail_is_sent_waits_its_minute(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    real = inbox_mail.mailed

    def meanwhile(*given: Any, **more: Any) -> None:
        told_again(scene)
        real(*given, **more)

    monkeypatch.setattr(inbox_mail, "mailed", meanwhile)
    with listening(Sink()) as sink:
        channel(sink.port)
        assert send_inboxes() == 1
        assert send_inboxes() == 0
        past(minutes=2)
        assert send_inboxes() == 1

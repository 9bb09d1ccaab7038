"""The pages of channels: made, changed without losing what is masked, tried, deleted; for editors only."""

from __future__ import annotations

from typing import Any

import pytest

from tests.alerting.receiver import receiving
from tests.web.foreign import SYSTEM, member_of
from tongchou.alerting.models import Channel
from tongchou.core import people
from tongchou.core.models import Role

pytestmark = pytest.mark.django_db


def test_a_webhook_is_made_changed_tried_and_deleted(browser: Any, settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    client = browser(Role.ADMIN)
    assert "No channel yet" in client.get("/alerts/channels").content.decode()
    with receiving() as receiver:
        url = f"{receiver.url}?key=sesame-open"
        form = {"kind": "webhook", "name": "a/b <c>", "url": url, "timeout_seconds": "5", "enabled": "1"}
        made = client.post("/alerts/channels/new", form)
        row = Channel.objects.get()
        assert made.headers["Location"] == f"/alerts/channels/{row.pk}"
        page = client.get(f"/alerts/channels/{row.pk}").content.decode()
        assert "sesame" not in page
        shown = f"{receiver.url}?key=••••"
        assert shown in page
        client.post(f"/alerts/channels/{row.pk}", {"url": shown, "timeout_seconds": "7", "secret": "s3cret"})
        row.refresh_from_db()
        assert (row.settings["url"], row.settings["timeout_seconds"], row.enabled) == (url, 7.0, False)
        form = {"url": f"{receiver.url}elsewhere", "timeout_seconds": "7"}
        assert "its secret was dropped" in client.post(f"/alerts/channels/{row.pk}", form, follow=True).content.decode()
        said = client.post(f"/alerts/channels/{row.pk}/test", follow=True).content.decode()
        assert "The test message was delivered" in said
    assert "a/b &lt;c&gt;" in client.get("/alerts/channels").content.decode()
    client.post(f"/alerts/channels/{row.pk}/delete")
    assert not Channel.objects.exists()


def test_mail_is_written_in_fields_and_a_mistake_keeps_them(browser: Any) -> None:
    client = browser(Role.ADMIN)
    form = {
        "kind": "smtp", "name": "mail", "host": "mail.example.org", "port": "465", "security": "tls", "username": "",
        "from": "ops@example.org", "to": "a@example.org, b@example.org", "language": "en", "timeout_seconds": "x",
    }  # fmt: skip
    refused = client.post("/alerts/channels/new", form)
    assert refused.status_code == 422
    assert "A number is wanted." in refused.content.decode()
    refused = client.post("/alerts/channels/new", form | {"timeout_seconds": "15", "to": "nobody"})
    assert refused.status_code == 422
    assert "mail.example.org" in refused.content.decode()
    client.post("/alerts/channels/new", form | {"timeout_seconds": "15"})
    row = Channel.objects.get()
    assert row.settings["to"] == ["a@example.org", "b@example.org"]
    assert (row.settings["port"], row.enabled) == (465, False)
    assert client.post("/alerts/channels/new", form | {"timeout_seconds": "15"}).status_code == 422


def test_an_unknown_kind_and_a_viewer_are_refused(browser: Any) -> None:
    answer = browser(Role.ADMIN).post("/alerts/channels/new", {"kind": "pigeon", "name": "x", "settings": "{}"})
    assert answer.status_code == 422
    client = browser(Role.VIEWER)
    assert "/alerts/channels/new" not in client.get("/alerts/channels").content.decode()
    assert client.post("/alerts/channels/new", {"kind": "webhook"}).status_code == 403


def test_a_role_in_a_team_does_not_open_where_all_notices_go(browser: Any) -> None:
    settings = {"url": "https://chat.example.org/hooks/ops", "timeout_seconds": 5.0, "headers": {}}
    row = Channel.objects.create(name="leads", kind="webhook", settings=settings)
    client = browser(member_of(people.create_team(actor=SYSTEM, name="ours"), Role.ADMIN))
    assert [client.get(f"/alerts/channels/{each}").status_code for each in (row.pk, "new")] == [403, 403]

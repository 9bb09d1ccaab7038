"""Comments, files and the inbox as pages: nothing runs, nothing leaks, a form that is refused loses nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.core.talk_scene import Scene, set_up
from tests.core.test_file_kinds import png
from tests.web.conftest import HTML
from tests.web.foreign import MARKER, plant
from tongchou.core import attachments, comments, inbox, jobs, watching
from tongchou.core.access import actor_for_user
from tongchou.core.models import Event, Role
from tongchou.core.models_talk import Attachment, Comment, InboxItem, Watch
from tongchou.core.refs import ref
from tongchou.web.markdown import render_talk

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> None:
    settings.FILES_PATH = tmp_path / "files"


@pytest.fixture
def scene(db: None) -> Scene:
    return set_up()


def part(client: Client, on: str) -> str:
    response = client.get("/talk", {"ref": on})
    assert response.status_code == 200
    return response.content.decode()


EVIL = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "@{<b onclick=alert(1)>}",
    "`<script>`",
    '[x](https://a.example/"onmouseover="alert(1))',
    "<svg/onload=alert(1)>",
]


@pytest.mark.parametrize("text", EVIL)
def test_text_never_becomes_markup(text: str, scene: Scene, browser: Any) -> None:
    client = browser(scene.anna)
    assert client.post("/talk/comments", {"ref": scene.on, "text": text}).status_code == 302
    for html in (part(client, scene.on), render_talk(text, ["<b onclick=alert(1)>"])):
        assert not re.search(r"<(script(?! type=.module)|img (?!src=./talk/files)|svg/|b )", html)
        assert not re.search(r"""<[^>]*\s(onerror|onclick|onmouseover|onload)=""", html)
        assert 'href="javascript' not in html


def test_names_are_marked_and_nouns_are_links() -> None:
    html = render_talk("@anna @other see INC-7, IMP-12, `INC-9` and [INC-3](https://example.org)", ["anna"])
    assert '<span class="mention">@anna</span> @other' in html
    assert '<a href="/incidents/7">INC-7</a>' in html
    assert '<a href="/improvements/12">IMP-12</a>' in html
    assert html.count("<a ") == 3


def test_a_comment_is_written_answered_edited_and_taken_back(scene: Scene, browser: Any) -> None:
    anna, ben = browser(scene.anna), browser(scene.ben)
    done = anna.post("/talk/comments", {"ref": scene.on, "text": "the disk is **full**"}, headers=JSON)
    row = Comment.objects.get(pk=done.json()["id"])
    assert "<strong>full</strong>" in part(ben, scene.on)
    assert ben.post("/talk/comments", {"ref": scene.on, "text": "yes", "reply_to": str(row.pk)}).status_code == 302
    assert anna.post(f"/talk/comments/{row.pk}/edit", {"text": "was full", "version": "1"}, headers=JSON).json()["ok"]
    assert "edited" in part(ben, scene.on)
    assert "the disk is **full**" in ben.get(f"/talk/comments/{row.pk}/editions").content.decode()
    stale = anna.post(f"/talk/comments/{row.pk}/edit", {"text": "x", "version": "1"}, headers=JSON)
    assert (stale.status_code, stale.json()["field"]) == (409, "version")
    assert ben.post(f"/talk/comments/{row.pk}/delete", headers=JSON).status_code == 403
    assert anna.post(f"/talk/comments/{row.pk}/delete", headers=JSON).status_code == 200
    seen = part(ben, scene.on)
    assert "was full" not in seen
    assert "taken back" in seen
    assert anna.post(f"/talk/comments/{row.pk}/restore", headers=JSON).status_code == 200
    assert "was full" in part(ben, scene.on)


def test_every_door_needs_the_token_of_the_form(scene: Scene, browser: Any) -> None:
    client = browser(scene.anna)
    strict = Client(headers=HTML, enforce_csrf_checks=True)
    strict.cookies = client.cookies
    row = comments.add(actor=scene.as_(scene.anna), on=scene.on, text="x")[0]
    for path in (
        "/talk/comments",
        f"/talk/comments/{row.pk}/delete",
        "/talk/watch",
        "/talk/read",
        "/talk/files",
        f"/talk/files/{uuid4()}/delete",
        "/inbox/all-read",
        f"/inbox/{uuid4()}/archive",
        "/inbox/preferences",
    ):
        assert strict.post(path, {"ref": scene.on, "text": "x"}).status_code == 403, path
    assert Comment.objects.count() == 1


def test_another_team_finds_nothing_at_any_address(scene: Scene, browser: Any) -> None:
    cora, dora = scene.as_(scene.cora), browser(scene.dora)
    row = comments.add(actor=cora, on=scene.blues, text=MARKER)[0]
    file = attachments.add(actor=cora, on=scene.blues, name=f"{MARKER}.png", chunks=[png(2, 2)])
    watching.watch(actor=scene.as_(scene.ben), wanted=scene.blues)
    comments.add(actor=cora, on=scene.blues, text="again")
    jobs.run_due()
    item = InboxItem.objects.get(user=scene.ben)
    for path in (
        f"/talk?ref={scene.blues}",
        f"/talk/people?ref={scene.blues}&q=",
        f"/talk/comments/{row.pk}/editions",
        f"/talk/files/{file.pk}",
        f"/inbox/{item.pk}",
    ):
        response = dora.get(path)
        assert response.status_code == 404, path
        assert MARKER not in response.content.decode()
    for path in (
        "/talk/comments",
        "/talk/watch",
        "/talk/read",
        "/talk/files",
        f"/talk/comments/{row.pk}/edit",
        f"/talk/comments/{row.pk}/hide",
        f"/talk/files/{file.pk}/delete",
        f"/inbox/{item.pk}/archive",
    ):
        response = dora.post(path, {"ref": scene.blues, "text": "x", "on": "1", "version": "1", "reason": "x"})
        assert response.status_code == 404, path
    assert not Watch.objects.filter(user=scene.dora).exists()


def test_people_who_may_not_see_the_noun_are_not_offered(scene: Scene, browser: Any) -> None:
    told = browser(scene.anna).get("/talk/people", {"ref": scene.blues, "q": ""}).json()["items"]
    assert [each["write"] for each in told] == ["@anna", "@ben", "@cora", "@{Team Blue}"]
    refused = browser(scene.anna).post("/talk/comments", {"ref": scene.blues, "text": "@dora?"}, headers=JSON)
    assert (refused.status_code, refused.json()["value"]) == (422, "dora")


def send(client: Client, on: str, name: str, data: bytes, **more: str) -> Any:
    file = SimpleUploadedFile(name, data, content_type="text/html")  # what a sender says counts for nothing
    return client.post("/talk/files", {"ref": on, "file": file, **more}, headers=JSON)


def test_a_picture_is_shown_and_everything_else_is_saved(scene: Scene, browser: Any) -> None:
    client = browser(scene.anna)
    html = b"<!doctype html><script>alert(document.cookie)</script>"
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'></svg>"
    polyglot = png(2, 2, html)  # a picture for one reader, a page for another
    expected = [
        ("a.png", png(2, 2), "inline", "image/png"),
        ("a.html", html, "attachment", "text/plain; charset=utf-8"),
        ("a.svg", svg, "attachment", "text/plain; charset=utf-8"),
        ("a.html", polyglot, "inline", "image/png"),
        ("bomb.png", png(60_000, 60_000), "attachment", "image/png"),
        ("a.png", b"PK\x03\x04", "attachment", "application/zip"),
    ]
    for name, data, how, kind in expected:
        [told] = send(client, scene.on, name, data).json()["items"]
        response = client.get(f"/talk/files/{told['id']}")
        assert response.content == data
        assert response.headers["Content-Disposition"].startswith(f"{how};"), name
        assert response.headers["Content-Type"] == kind
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
        saved = client.get(f"/talk/files/{told['id']}?save=1")
        assert saved.headers["Content-Disposition"].startswith("attachment;")
    assert part(client, scene.on).count("<img ") == 2


def test_a_file_name_is_text(scene: Scene, browser: Any) -> None:
    client = browser(scene.anna)
    [told] = send(client, scene.on, "\"'><img src=x onerror=alert(1)> 截图.png", png(2, 2)).json()["items"]
    assert "<img src=x" not in part(client, scene.on)
    shown = client.get(f"/talk/files/{told['id']}").headers["Content-Disposition"]
    assert "%E6%88%AA%E5%9B%BE.png" in shown
    assert not set(shown) & set('<>\r\n"')


def test_a_file_that_is_refused_says_why(scene: Scene, browser: Any) -> None:
    client = browser(scene.anna)
    refused = client.post("/talk/files", {"ref": scene.on}, headers=JSON)
    assert (refused.status_code, refused.json()["field"]) == (422, "file")
    viewer = browser(Role.VIEWER)
    assert send(viewer, scene.on, "a.txt", b"x").status_code == 403
    assert not Attachment.objects.exists()
    assert "role operator" in part(viewer, scene.on)


def test_the_inbox_counts_opens_and_marks(scene: Scene, browser: Any) -> None:
    anna, ben = browser(scene.anna), browser(scene.ben)
    assert "Nothing waits for you" in ben.get("/inbox").content.decode()
    done = anna.post("/talk/comments", {"ref": scene.on, "text": "@ben look"}, headers=JSON)
    jobs.run_due()
    assert 'id="count-inbox" hx-swap-oob="true"><span class="count">1' in ben.get("/shell/counts").content.decode()
    page = ben.get("/inbox").content.decode()
    assert "You were mentioned" in page
    assert "look" in page
    item = InboxItem.objects.get(user=scene.ben)
    opened = ben.get(f"/inbox/{item.pk}")
    assert opened.headers["Location"].endswith(f"#comment-{done.json()['id']}")
    item.refresh_from_db()
    assert item.state == "read"
    for act, box in (("unread", "unread"), ("later", "later"), ("archive", "archived")):
        assert ben.post(f"/inbox/{item.pk}/{act}", {"hours": "4"}).status_code == 302
        assert "free" in ben.get("/inbox", {"box": box}).content.decode(), box
    assert ben.post(f"/inbox/{item.pk}/later", {"hours": "99999"}, headers=JSON).status_code == 422


def test_opening_the_noun_reads_its_row(scene: Scene, browser: Any) -> None:
    browser(scene.anna).post("/talk/comments", {"ref": scene.on, "text": "@ben look"})
    jobs.run_due()
    assert browser(scene.ben).post("/talk/read", {"ref": scene.on}).status_code == 204
    assert inbox.unread_count(scene.as_(scene.ben)) == 0


def test_choices_are_kept_and_a_wrong_one_is_named(scene: Scene, browser: Any) -> None:
    ben = browser(scene.ben)
    wanted = {
        "mail": "daily",
        "address": "ben@example.org",
        "quiet_from": "22",
        "quiet_until": "7",
        "watch_mentioned": "1",
    }
    assert ben.post("/inbox/preferences", wanted).status_code == 302
    page = ben.get("/inbox/preferences").content.decode()
    assert "ben@example.org" in page
    assert "setting inbox.mail_channel" in page
    wrong = ben.post("/inbox/preferences", wanted | {"address": "nobody"})
    assert wrong.status_code == 422
    assert "name@example.org" in wrong.content.decode()


def test_the_part_asks_the_same_number_of_queries_however_long(
    scene: Scene, browser: Any, django_assert_max_num_queries: Any
) -> None:
    client, anna = browser(scene.ben), scene.as_(scene.anna)
    for number in range(25):
        row = comments.add(actor=anna, on=scene.on, text=f"number {number}")[0]
        file = attachments.add(actor=anna, on=scene.on, name="a", chunks=[b"x"], staged=True)
        comments.add(actor=anna, on=scene.on, text="answer", reply_to=row.pk, files=[file.pk])
    jobs.run_due()
    with django_assert_max_num_queries(14):
        assert part(client, scene.on).count('class="talk-text"') == 50


def test_the_inbox_asks_the_same_number_of_queries_however_long(
    scene: Scene, browser: Any, django_assert_max_num_queries: Any
) -> None:
    client, events = browser(scene.ben), Event.objects.filter(verb="resource.created")
    for event in events:
        InboxItem.objects.create(user=scene.ben, ref=event.subject, reason="watched", last_event=event)
    with django_assert_max_num_queries(25):
        assert client.get("/inbox").status_code == 200


def test_the_incidents_timeline_shows_its_comments(browser: Any) -> None:
    incident = plant().incident
    client = browser(Role.OPERATOR)
    posted = {"ref": ref(incident), "text": "looking at **the disks**"}
    assert client.post("/talk/comments", posted).headers["Location"] == "/incidents/7#talk"
    page = client.get("/incidents/7?part=timeline").content.decode()
    assert "looking at <strong>the disks</strong>" in page
    comments.delete(actor=actor_for_user(client.user), comment=Comment.objects.get())
    page = client.get("/incidents/7?part=timeline").content.decode()
    assert "disks" not in page

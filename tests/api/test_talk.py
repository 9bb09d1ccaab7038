"""The API of working together: typed answers, refusals that name the field, nothing for another team."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.core.talk_scene import TESTS, Scene, set_up
from tests.core.test_file_kinds import png
from tongchou.core import jobs, tokens
from tongchou.core.models import User

pytestmark = pytest.mark.django_db
V1 = "/api/v1"


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> None:
    settings.FILES_PATH = tmp_path / "files"


@pytest.fixture
def scene(db: None) -> Scene:
    return set_up()


def upload(user: User, on: str, data: bytes, **more: str) -> Any:
    _row, token = tokens.create(actor=TESTS, user=user, name="t", scopes=["write"], expires_at=None)
    client = Client(headers={"Authorization": f"Bearer {token}"})
    return client.post(f"{V1}/attachments", {"ref": on, "file": SimpleUploadedFile("a.png", data), **more})


def test_a_comment_from_writing_to_hiding(scene: Scene, api_as: Any, api: Any) -> None:
    anna = api_as(scene.anna)
    made = anna.post(f"{V1}/comments", {"ref": scene.on, "text": "@ben look"})
    assert made.status_code == 201
    told = made.json()
    assert (told["mentions"], told["author"], told["version"]) == (["ben"], "anna", 1)
    path = f"{V1}/comments/{told['id']}"
    assert anna.patch(path, {"text": "look", "version": 1}).json()["version"] == 2
    assert anna.patch(path, {"text": "again", "version": 1}).status_code == 409
    assert anna.get(f"{path}/editions").json()["items"][0]["text"] == "@ben look"
    assert anna.delete(path).json() | {"text": ""} == anna.get(f"{V1}/comments", ref=scene.on).json()["items"][0]
    assert anna.post(f"{path}/restore").json()["text"] == "look"
    assert anna.post(f"{path}/hide", {"reason": "x"}).status_code == 403
    assert (
        api.post(f"{path}/hide", {"reason": "a name"}).json() | {"files": []}
        == api.get(f"{V1}/comments", ref=scene.on).json()["items"][0]
    )
    assert api.post(f"{path}/unhide").json()["hidden"] is False


def test_refusals_name_the_field(scene: Scene, api_as: Any) -> None:
    anna = api_as(scene.anna)
    for body, field in (
        ({"ref": scene.on, "text": ""}, "text"),
        ({"ref": scene.blues, "text": "@dora"}, "text"),
        ({"ref": scene.on, "text": "x", "reply_to": str(uuid4())}, "reply_to"),
        ({"ref": scene.on, "text": "x", "files": [str(uuid4())]}, "files"),
        ({"ref": scene.on, "text": "x", "colour": "red"}, "body.colour"),
    ):
        refused = anna.post(f"{V1}/comments", body)
        assert refused.status_code == 422, body
        assert refused.json()["field"].endswith(field.rpartition(".")[2]), refused.json()


def test_a_token_that_reads_writes_nothing(scene: Scene, api_as: Any) -> None:
    reader = api_as(scene.anna, ["read"])
    assert reader.get(f"{V1}/comments", ref=scene.on).status_code == 200
    assert reader.post(f"{V1}/comments", {"ref": scene.on, "text": "x"}).status_code == 403
    assert reader.post(f"{V1}/watches", {"ref": scene.on}).status_code == 403
    assert reader.post(f"{V1}/inbox/read-all").status_code == 403


def test_watches_and_the_inbox(scene: Scene, api_as: Any) -> None:
    anna, ben = api_as(scene.anna), api_as(scene.ben)
    assert ben.post(f"{V1}/watches", {"ref": scene.on}).json()["reason"] == "by_hand"
    anna.post(f"{V1}/comments", {"ref": scene.on, "text": "hello"})
    jobs.run_due()
    page = ben.get(f"{V1}/inbox").json()
    assert (page["unread"], page["items"][0]["title"], page["items"][0]["by"]) == (1, "free", "anna")
    path = f"{V1}/inbox/{page['items'][0]['id']}"
    assert anna.patch(path, {"state": "read"}).status_code == 404
    assert ben.patch(path, {"state": "gone"}).json()["field"] == "state"
    assert ben.patch(path, {"state": "archived"}).json()["state"] == "archived"
    assert ben.get(f"{V1}/inbox").json()["items"] == []
    assert ben.post(f"{V1}/inbox/read-all").json() == {"marked": 0}
    assert ben._client.delete(f"{V1}/watches?ref={scene.on}").status_code == 204
    assert ben.get(f"{V1}/watches").json() == {"items": [], "count": 0}


def test_a_file_goes_in_with_its_comment_and_comes_out_whole(scene: Scene, api_as: Any) -> None:
    data = png(3, 4, b"rest")
    made = upload(scene.anna, scene.on, data, staged="true")
    assert made.status_code == 201, made.content
    told = made.json()
    assert (told["content_type"], told["picture"], told["size"]) == ("image/png", True, len(data))
    anna, ben = api_as(scene.anna), api_as(scene.ben)
    assert ben.get(f"{V1}/attachments/{told['id']}").status_code == 404
    comment = anna.post(f"{V1}/comments", {"ref": scene.on, "text": "", "files": [told["id"]]}).json()
    assert [each["id"] for each in comment["files"]] == [told["id"]]
    assert ben.get(f"{V1}/attachments", ref=scene.on).json()["count"] == 1
    content = ben.get(f"{V1}/attachments/{told['id']}/content")
    assert (content.content, content.headers["Content-Disposition"]) == (data, "attachment")
    assert ben.delete(f"{V1}/attachments/{told['id']}").status_code == 403
    assert anna.delete(f"{V1}/attachments/{told['id']}").json()["deleted"] is True
    assert anna.post(f"{V1}/attachments/{told['id']}/restore").json()["deleted"] is False


def test_another_team_gets_404_everywhere(scene: Scene, api_as: Any) -> None:
    cora, dora = api_as(scene.cora), api_as(scene.dora)
    comment = cora.post(f"{V1}/comments", {"ref": scene.blues, "text": "ours"}).json()
    file = upload(scene.cora, scene.blues, b"ours").json()
    answers = [
        dora.get(f"{V1}/comments", ref=scene.blues),
        dora.get(f"{V1}/attachments", ref=scene.blues),
        dora.post(f"{V1}/comments", {"ref": scene.blues, "text": "x"}),
        dora.post(f"{V1}/watches", {"ref": scene.blues}),
        dora.patch(f"{V1}/comments/{comment['id']}", {"text": "x", "version": 1}),
        dora.delete(f"{V1}/comments/{comment['id']}"),
        dora.get(f"{V1}/comments/{comment['id']}/editions"),
        dora.get(f"{V1}/attachments/{file['id']}"),
        dora.get(f"{V1}/attachments/{file['id']}/content"),
        dora.delete(f"{V1}/attachments/{file['id']}"),
        upload(scene.dora, scene.blues, b"x"),
    ]
    assert [each.status_code for each in answers] == [404] * len(answers)
    assert "ours" not in json.dumps([each.json() for each in answers])

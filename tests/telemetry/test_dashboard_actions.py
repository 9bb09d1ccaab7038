"""Writes of dashboards: versions, two people at once, what is deleted and comes back, limits."""

from __future__ import annotations

from typing import Any

import pytest

from tongchou.core import search
from tongchou.core.access import Actor
from tongchou.core.models import Event
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound
from tongchou.telemetry import dashboard_actions as actions
from tongchou.telemetry import dashboard_reads
from tongchou.telemetry.models import Dashboard

pytestmark = pytest.mark.django_db


def content(title: str = "Hosts", **more: Any) -> actions.Content:
    return actions.content({"title": title, **more})


def test_every_change_is_a_version_and_any_of_them_can_be_had_back(operator_actor: Actor) -> None:
    row = actions.create(actor=operator_actor, made=content(tags=["a", " a "], folder="f"))
    assert (row.name, row.version, row.tags) == ("hosts", 1, ["a"])
    second = content(definition={"rows": [{"panels": [{"id": 1}]}]})
    row = actions.update(actor=operator_actor, dashboard=row, version=1, made=second)
    assert (row.version, row.panel_count, row.folder) == (2, 1, "")
    assert actions.update(actor=operator_actor, dashboard=row, version=2, made=second).version == 2
    row = actions.restore(actor=operator_actor, dashboard=row, version=2, number=1)
    assert (row.version, row.panel_count, row.folder, row.tags) == (3, 0, "f", ["a"])
    assert [each.number for each in dashboard_reads.versions(row)] == [3, 2, 1]
    with pytest.raises(NotFound):
        actions.restore(actor=operator_actor, dashboard=row, version=3, number=9)
    assert Event.objects.get(verb="dashboard.changed").payload["changed"] == [
        "definition",
        "folder",
        "panel_count",
        "tags",
    ]


def test_of_two_changes_at_once_the_second_is_refused_and_named(operator_actor: Actor, admin_actor: Actor) -> None:
    row = actions.create(actor=operator_actor, made=content())
    actions.update(actor=admin_actor, dashboard=row, version=1, made=content("Mine"))
    with pytest.raises(Conflict, match="admin"):
        actions.update(actor=operator_actor, dashboard=row, version=1, made=content("Yours"))
    assert Dashboard.objects.get().title == "Mine"


def test_old_versions_go(operator_actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "KEPT_VERSIONS", 2)
    row = actions.create(actor=operator_actor, made=content())
    for at in range(4):
        row = actions.update(actor=operator_actor, dashboard=row, version=row.version, made=content(f"T{at}"))
    assert [each.number for each in dashboard_reads.versions(row)] == [5, 4]


def test_names_are_free_again_and_a_deleted_one_comes_back_under_another(operator_actor: Actor) -> None:
    first = actions.create(actor=operator_actor, made=content())
    with pytest.raises(Conflict, match="hosts"):
        actions.create(actor=operator_actor, made=content(), name="hosts")
    actions.delete(actor=operator_actor, dashboard=first)
    actions.delete(actor=operator_actor, dashboard=first)
    assert Event.objects.filter(verb="dashboard.deleted").count() == 1
    actions.create(actor=operator_actor, made=content(), name="hosts")
    back = actions.undelete(actor=operator_actor, dashboard_id=first.pk)
    assert back.name == "hosts-2"
    with pytest.raises(NotFound):
        actions.update(actor=operator_actor, dashboard=Dashboard(name="gone"), version=1, made=content())


def test_bad_content_is_refused(operator_actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong, field in (
        ({"title": " "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "x", "tags": ["y" * 51]}, "tags[0].text"),
        ({"title": "x", "more": 1}, "more"),
        ({"title": "x", "definition": []}, "definition"),
        ({"title": "x", "definition": {"variables": [{"name": "a", "query": "$b"}, {"name": "b", "query": "$a"}]}}, "variables.a.query"),
    ):  # fmt: skip
        with pytest.raises(Invalid) as raised:
            actions.content(wrong)
        assert raised.value.field == field
    with pytest.raises(Invalid):
        actions.create(actor=operator_actor, made=content(), name="No Name")
    monkeypatch.setattr(actions, "MAX_DASHBOARDS", 0)
    with pytest.raises(Conflict):
        actions.create(actor=operator_actor, made=content())


def test_who_only_looks_changes_nothing(operator_actor: Actor, viewer_actor: Actor) -> None:
    row = actions.create(actor=operator_actor, made=content())
    for act in (
        lambda: actions.create(actor=viewer_actor, made=content()),
        lambda: actions.update(actor=viewer_actor, dashboard=row, version=1, made=content("x")),
        lambda: actions.restore(actor=viewer_actor, dashboard=row, version=1, number=1),
        lambda: actions.delete(actor=viewer_actor, dashboard=row),
        lambda: actions.undelete(actor=viewer_actor, dashboard_id=row.pk),
    ):
        with pytest.raises(AccessDenied):
            act()


def test_the_search_finds_it_by_title_tag_and_text_until_it_is_deleted(operator_actor: Actor) -> None:
    row = actions.create(
        actor=operator_actor, made=content("主机概览", tags=["capacity"], description="what machines do")
    )
    search.follow()
    for word in ("主机", "capacity", "machines"):
        assert [hit.ref for hit in search.find(operator_actor, word)] == [f"telemetry.dashboard:{row.pk}"]
    actions.delete(actor=operator_actor, dashboard=row)
    search.follow()
    assert search.find(operator_actor, "capacity") == []

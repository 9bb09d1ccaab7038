"""The API of alerting: rule files as YAML, rules with health, alerts, groups, channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.alerting.conftest import Evaluations, Store, evaluations, rules, store
from tests.alerting.receiver import receiving
from tests.conftest import Api
from tongchou.alerting.models import Channel
from tongchou.api.alerting import ALERTS_SHOWN
from tongchou.core.access import Actor
from tongchou.core.models import Event

__all__ = ["evaluations", "rules", "store"]

BASE = "/api/v1"
YAML = "application/yaml"
RULE = 'alert: Down\nexpr: up == 0\nlabels: {severity: critical, service: "{{ $labels.job }}"}'


def up(job: str, instance: str) -> tuple[dict[str, str], float]:
    return {"__name__": "up", "job": job, "instance": instance}, 0.0


def test_a_rule_file_is_put_read_listed_and_deleted(api: Api, rules: Callable[..., str]) -> None:
    text = "# 注释\n" + rules(RULE)
    put = api.put(f"{BASE}/rule-files/shop.yml", text.encode(), YAML)
    assert (put.status_code, put.json()["rules"], put.json()["groups"]) == (200, 1, 1)
    got = api.get(f"{BASE}/rule-files/shop.yml")
    assert got.content.decode() == text
    assert got["ETag"] == f'"{put.json()["digest"]}"'
    listed = api.get(f"{BASE}/rule-files").json()
    assert (listed["count"], listed["items"][0]["name"]) == (1, "shop.yml")
    assert api.delete(f"{BASE}/rule-files/shop.yml").status_code == 204
    assert api.get(f"{BASE}/rule-files/shop.yml").status_code == 404
    assert api.delete(f"{BASE}/rule-files/shop.yml").status_code == 404


def test_the_same_file_again_changes_nothing(api: Api, rules: Callable[..., str]) -> None:
    for _time in range(2):
        api.put(f"{BASE}/rule-files/f", rules(RULE), "text/plain")
    assert Event.objects.filter(verb="alerting.rule_file_changed").count() == 1


def test_a_file_with_a_mistake_is_refused_whole_with_its_line_and_the_old_rules_stay(
    api: Api, rules: Callable[..., str]
) -> None:
    api.put(f"{BASE}/rule-files/f", rules(RULE), YAML)
    bad = rules(RULE, "alert: Other\nexpr: sum(up", "alert: Third\nexpr: up\nfor: soon")
    refused = api.put(f"{BASE}/rule-files/f", bad, YAML)
    body = refused.json()
    assert refused.status_code == 422
    assert refused["Content-Type"].startswith("application/problem+json")
    assert (body["code"], body["field"], body["line"]) == ("rule_file.expr", "groups[0].rules[1].expr", 9)
    assert body["value"] == "sum(up"
    assert [(each["code"], each["line"]) for each in body["errors"]] == [
        ("rule_file.expr", 9),
        ("rule_file.duration", 12),
    ]
    assert body["remedy"]
    assert [rule["name"] for rule in api.get(f"{BASE}/rules").json()["items"]] == ["Down"]
    assert api.get(f"{BASE}/rule-files/f").content.decode() == rules(RULE)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"\xff\xfe", YAML, 400, "rule_file.encoding"),
        (b"groups: []\x00", YAML, 400, "rule_file.encoding"),
        (b"#" * 1_000_001, YAML, 413, "rule_file.too_large"),
        (b"{}", "application/json", 415, "rule_file.media_type"),
        (b"groups: [", YAML, 422, "rule_file.yaml"),
        (b"[" * 100_000, YAML, 422, "rule_file.yaml"),
    ],
)
def test_a_body_that_will_not_do_is_refused(api: Api, body: bytes, content_type: str, status: int, code: str) -> None:
    refused = api.put(f"{BASE}/rule-files/f", body, content_type)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert api.get(f"{BASE}/rule-files").json()["count"] == 0


@pytest.mark.parametrize("name", ["-x", "a b", "é", "x" * 121])
def test_a_name_that_will_not_do_is_refused(api: Api, name: str) -> None:
    assert api.put(f"{BASE}/rule-files/{name}", b"groups: []", YAML).json()["code"] == "rule_file.name"


def test_rules_alerts_and_groups_are_listed(
    api: Api, rules: Callable[..., str], store: Store, evaluations: Evaluations
) -> None:
    api.put(
        f"{BASE}/rule-files/f",
        rules(RULE, "record: a:b\nexpr: broken", RULE.replace("Down", "Slow") + "\nfor: 1h"),
        YAML,
    )
    store.answers["up == 0"] = [up("orders", "a:1"), up("orders", "b:1"), up("cache", "c:1")]
    store.fail("broken")
    evaluations.at(0)
    rows = api.get(f"{BASE}/rules").json()["items"]
    assert [(row["name"], row["health"], row["firing"], row["pending"]) for row in rows] == [
        ("Down", "ok", 3, 0),
        ("a:b", "err", 0, 0),
        ("Slow", "ok", 0, 3),
    ]
    assert rows[1]["last_error"] == "the query failed"
    assert (rows[2]["for"], rows[0]["line"], rows[0]["file"], rows[0]["group"]) == ("1h", 5, "f", "g")
    assert api.get(f"{BASE}/rules", health="err").json()["count"] == 1
    active = api.get(f"{BASE}/alerts").json()
    assert active["count"] == 6
    firing = api.get(f"{BASE}/alerts", state="firing", limit=2).json()
    assert (firing["count"], len(firing["items"])) == (3, 2)
    assert api.get(f"{BASE}/alerts", state="exploding").status_code == 422
    groups = api.get(f"{BASE}/alert-groups", state="open").json()
    assert {(group["key"], group["firing"]) for group in groups["items"]} == {
        ('{service="orders"}', 2),
        ('{service="cache"}', 1),
    }
    one = groups["items"][0]["id"]
    assert api.get(f"{BASE}/alert-groups/{one}").json()["id"] == one
    assert api.get(f"{BASE}/alert-groups/{one.replace(one[0], 'f' if one[0] != 'f' else '0')}").status_code == 404


def test_a_list_of_groups_holds_the_first_alerts_of_each_and_one_group_all(
    api: Api, rules: Callable[..., str], store: Store, evaluations: Evaluations
) -> None:
    api.put(f"{BASE}/rule-files/f", rules(RULE), YAML)
    store.answers["up == 0"] = [up("orders", f"i:{number}") for number in range(9)] + [up("cache", "c:1")]
    evaluations.at(0)
    store.answers["up == 0"] = [up("orders", f"i:{number}") for number in range(6, 9)]
    evaluations.at(60)
    groups = {each["key"]: each for each in api.get(f"{BASE}/alert-groups").json()["items"]}
    orders, cache = groups['{service="orders"}'], groups['{service="cache"}']
    assert (orders["firing"], orders["alert_count"], len(orders["alerts"])) == (3, 9, ALERTS_SHOWN)
    assert [each["state"] for each in orders["alerts"]][:4] == ["firing", "firing", "firing", "resolved"]
    assert (cache["firing"], cache["alert_count"], len(cache["alerts"])) == (0, 1, 1)
    whole = api.get(f"{BASE}/alert-groups/{orders['id']}").json()
    assert (whole["firing"], whole["alert_count"], len(whole["alerts"])) == (3, 9, 9)


def test_lists_take_the_same_number_of_queries_however_many_rows(
    api: Api, rules: Callable[..., str], store: Store, evaluations: Evaluations
) -> None:
    api.put(f"{BASE}/rule-files/f", rules(RULE), YAML)
    counts = []
    for size in (2, 30):
        store.answers["up == 0"] = [up(f"job-{number}", f"i:{number}") for number in range(size)]
        evaluations.at(size)
        taken = []
        for path in ("rules", "alerts", "alert-groups", "rule-files", "notifications", "channels"):
            with CaptureQueriesContext(
                connection,
            ) as queries:
                assert api.get(f"{BASE}/{path}").status_code == 200
            taken.append(len(queries))
        counts.append(taken)
    assert counts[0] == counts[1]
    assert max(counts[1]) <= 10


def test_acknowledging_says_who_and_counts_once(
    api: Api, rules: Callable[..., str], store: Store, evaluations: Evaluations
) -> None:
    api.put(f"{BASE}/rule-files/f", rules(RULE), YAML)
    store.answers["up == 0"] = [up("orders", "a:1")]
    evaluations.at(0)
    group = api.get(f"{BASE}/alert-groups").json()["items"][0]
    for _time in range(2):
        answer = api.post(f"{BASE}/alert-groups/{group['id']}/acknowledge", {"note": "looking"})
        assert (answer.status_code, answer.json()["acknowledged_by"]) == (200, "admin")
    alert = group["alerts"][0]["id"]
    assert api.post(f"{BASE}/alerts/{alert}/acknowledge").json()["acknowledged_by"] == "admin"
    assert Event.objects.filter(verb="alert.group_acknowledged").count() == 1
    assert Event.objects.get(verb="alert.acknowledged").payload["alertname"] == "Down"
    assert api.delete(f"{BASE}/alert-groups/{group['id']}/acknowledge").json()["acknowledged_at"] is None
    answer = api.post(f"{BASE}/alert-groups/{group['id']}/acknowledge", {"for_seconds": 3600})
    assert answer.json()["acknowledged_until"] is not None
    assert api.post(f"{BASE}/alert-groups/{group['id']}/acknowledge", {"for_seconds": 1}).status_code == 422
    store.answers["up == 0"] = []
    evaluations.at(1)
    assert api.post(f"{BASE}/alert-groups/{group['id']}/acknowledge").status_code == 409
    assert api.post(f"{BASE}/alerts/{alert}/acknowledge").status_code == 409


def test_channels_are_kept_and_tested(api: Api, settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    with receiving(200, 500) as receiver:
        made = api.post(
            f"{BASE}/channels", {"name": "ops", "settings": {"url": receiver.url}, "secret": "s3cret-of-test"}
        )
        assert (made.status_code, made.json()["has_secret"]) == (201, True)
        assert "s3cret" not in made.content.decode()
        assert api.post(f"{BASE}/channels", {"name": "ops", "settings": {"url": receiver.url}}).status_code == 409
        tested = api.post(f"{BASE}/channels/ops/test").json()
        assert tested == {"delivered": True, "detail": "HTTP 200"}
        assert "webhook-signature" in receiver.got[0][0]
        assert api.post(f"{BASE}/channels/ops/test").json()["delivered"] is False
        changed = api.put(f"{BASE}/channels/ops", {"settings": {"url": receiver.url}, "enabled": False})
        assert (changed.json()["enabled"], changed.json()["has_secret"]) == (False, True)
        moved = api.put(f"{BASE}/channels/ops", {"settings": {"url": receiver.url + "x"}})
        assert moved.json()["has_secret"] is False
        event = Event.objects.filter(verb="alerting.channel_changed").latest("pk")
        assert (event.payload["secret_dropped"], event.payload["secret_changed"]) == (True, False)
        given = {"settings": {"url": receiver.url}, "secret": "another-of-test", "enabled": False}
        assert api.put(f"{BASE}/channels/ops", given).json()["has_secret"] is True
        event = Event.objects.filter(verb="alerting.channel_changed").latest("pk")
        assert event.payload["secret_dropped"] is False
    assert [row["name"] for row in api.get(f"{BASE}/channels").json()["items"]] == ["ops"]
    keyed = {"url": "https://hooks.example.org/send?access_token=sesame", "headers": {"X-Token": "t0"}}
    api.put(f"{BASE}/channels/chat", {"settings": keyed})
    shown = api.get(f"{BASE}/channels/chat").json()["settings"]
    assert "sesame" not in str(shown)
    assert api.put(f"{BASE}/channels/chat", {"settings": shown | {"timeout_seconds": 9}}).status_code == 200
    kept = Channel.objects.get(name="chat").settings
    assert (kept["url"], kept["headers"], kept["timeout_seconds"]) == (keyed["url"], {"X-Token": "t0"}, 9.0)
    other = shown | {"url": shown["url"].replace("hooks", "other")}
    assert api.put(f"{BASE}/channels/chat", {"settings": other}).status_code == 422
    api.delete(f"{BASE}/channels/chat")
    assert api.get(f"{BASE}/channels/ops").json()["settings"]["timeout_seconds"] == 5.0
    assert api.delete(f"{BASE}/channels/ops").status_code == 204
    assert api.get(f"{BASE}/channels/ops").status_code == 404
    refused = api.post(f"{BASE}/channels", {"name": "x", "kind": "pigeon"})
    assert (refused.json()["code"], refused.json()["field"]) == ("channel.kind", "kind")


def test_roles_and_scopes_are_held(
    api_as: Any, viewer_actor: Actor, operator_actor: Actor, rules: Callable[..., str]
) -> None:
    viewer, operator, reader = api_as(viewer_actor), api_as(operator_actor), api_as(operator_actor, ["read"])
    text = rules(RULE)
    for refused in (viewer, reader):
        assert refused.put(f"{BASE}/rule-files/f", text, YAML).status_code == 403
        assert refused.delete(f"{BASE}/rule-files/f").status_code == 403
        assert refused.post(f"{BASE}/channels", {"name": "x", "settings": {"url": "http://x/"}}).status_code == 403
        assert refused.get(f"{BASE}/channels").status_code == 403
        assert refused.get(f"{BASE}/rules").status_code == 200
    assert operator.put(f"{BASE}/rule-files/f", text, YAML).status_code == 200
    assert operator.get(f"{BASE}/channels").status_code == 200


def test_nobody_gets_nothing(db: None, client: Any) -> None:
    for path in ("rules", "alerts", "alert-groups", "rule-files", "channels", "notifications"):
        assert client.get(f"{BASE}/{path}").status_code == 401


@pytest.mark.parametrize("text", ["", "null", "{}"])
def test_an_empty_rule_file_is_refused_and_the_rules_stay(api: Any, text: str) -> None:
    path = f"{BASE}/rule-files/empty"
    kept = "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: vector(1)\n"
    assert api.put(path, kept, content_type="application/yaml").status_code in {200, 201}
    response = api.put(path, text, content_type="application/yaml")
    assert response.status_code == 422
    assert response.json()["code"] == "rule_file.empty"
    assert api.get(path).content.decode() == kept
    assert api.put(path, "groups: []", content_type="application/yaml").status_code == 200

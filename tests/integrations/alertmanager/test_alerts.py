"""What fires over Alertmanager's v2 API, asked by its own client where that is installed."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from tests.conftest import Api
from tongchou.alerting import groups, settle, silences
from tongchou.alerting.matchers import parse
from tongchou.alerting.models import Alert, Channel, Rule
from tongchou.core import people, tokens
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Membership, Role, User

BASE = "/alertmanager/api/v2"
ACTOR = system("tests")


def fire(service: str, severity: str = "warning", **more: Any) -> Alert:
    """An alert that fires, in its group."""
    now = timezone.now()
    rule, _made = Rule.objects.get_or_create(kind="alert", name="A", position=0, expr="x")
    alert = Alert(
        rule=rule, fingerprint=f"{Alert.objects.count():016x}", name="A", severity=severity, state="firing",
        labels={"alertname": "A", "service": service, "severity": severity},
        annotations={"summary": f"{service} is ill"}, active_at=now, fired_at=now, **more,
    )  # fmt: skip
    with transaction.atomic():
        alert.save()
        groups.change(actor=ACTOR, fired=[alert], resolved=[], at=now)
    return alert


def silence(text: str) -> str:
    """The id of a silence of an hour."""
    ends_at = timezone.now() + dt.timedelta(hours=1)
    return str(silences.create_silence(actor=ACTOR, matchers=parse(text), ends_at=ends_at, comment="work").pk)


def asked(api: Api, path: str, **query: Any) -> Any:
    response = api.get(f"{BASE}/{path}", **query)
    assert response.status_code == 200, response.content
    return json.loads(response.content)


def services(found: list[dict[str, Any]]) -> list[str]:
    return sorted(each["labels"]["service"] for each in found)


@pytest.fixture
def outage(api: Api) -> str:
    """Orders fires and is told, payments is silenced, catalogue was not decided about; gives the silence's id."""
    Channel.objects.create(name="ops", kind="webhook", settings={"url": "http://127.0.0.1:9/"})
    fire("orders", "critical")
    fire("payments")
    key = silence("service=payments")
    settle.settle(timezone.now())
    fire("catalogue")
    return key


@pytest.mark.both_databases
@pytest.mark.django_db
def test_states_and_flags_are_alertmanagers(api: Api, outage: str) -> None:
    states = {each["labels"]["service"]: each["status"] for each in asked(api, "alerts")}
    assert states["orders"]["state"] == "active"
    assert states["payments"] == {"state": "suppressed", "silencedBy": [outage], "inhibitedBy": [], "mutedBy": []}
    assert states["catalogue"]["state"] == "unprocessed"
    assert services(asked(api, "alerts", silenced="false", unprocessed="false")) == ["orders"]
    assert services(asked(api, "alerts", active="false")) == ["catalogue", "payments"]
    assert api.get(f"{BASE}/alerts", active="yes").status_code == 400
    assert api.post(f"{BASE}/alerts", []).status_code == 405


@pytest.mark.both_databases
@pytest.mark.django_db
def test_filters_and_receivers_choose(api: Api, outage: str) -> None:
    assert services(asked(api, "alerts", filter='service=~"orders|payments"')) == ["orders", "payments"]
    assert services(asked(api, "alerts", filter='service!="orders"')) == ["catalogue", "payments"]
    assert asked(api, "alerts", receiver="sms") == []
    assert len(asked(api, "alerts", receiver="o.*")) == 3
    assert api.get(f"{BASE}/alerts", receiver="(").status_code == 400
    assert api.get(f"{BASE}/alerts", filter="no matcher").status_code == 400
    assert asked(api, "receivers") == [{"name": "ops"}]


@pytest.mark.both_databases
@pytest.mark.django_db
def test_what_explains_or_inhibits_is_named_by_fingerprints(api: Api) -> None:
    cause, effect, quiet = fire("db", "critical"), fire("orders"), fire("info")
    Alert.objects.filter(pk=effect.pk).update(
        suppressed="explained", suppressed_by=[f"alerting.alertgroup:{cause.group_id}"]
    )
    Alert.objects.filter(pk=quiet.pk).update(suppressed="inhibited", suppressed_by=[f"alerting.alert:{cause.pk}"])
    found = {each["labels"]["service"]: each["status"]["inhibitedBy"] for each in asked(api, "alerts")}
    assert found == {"db": [], "orders": [cause.fingerprint], "info": [cause.fingerprint]}
    assert services(asked(api, "alerts", inhibited="false")) == ["db"]


@pytest.mark.both_databases
@pytest.mark.django_db
def test_groups_hold_their_alerts_for_each_receiver(api: Api, outage: str) -> None:
    found = asked(api, "alerts/groups", filter="service=orders")
    assert [(each["labels"], each["receiver"], services(each["alerts"])) for each in found] == [
        ({"service": "orders"}, {"name": "ops"}, ["orders"])
    ]


@pytest.mark.both_databases
@pytest.mark.django_db
def test_alerts_of_two_rules_with_the_same_labels_are_both_in_their_group(api: Api) -> None:
    Channel.objects.create(name="ops", kind="webhook", settings={"url": "http://127.0.0.1:9/"})
    first, second = fire("orders"), fire("orders")
    other = Rule.objects.create(kind="alert", name="A", position=1, expr="y")
    Alert.objects.filter(pk=second.pk).update(
        rule=other, fingerprint=first.fingerprint, annotations={"summary": "the other rule's"}
    )
    (group,) = asked(api, "alerts/groups", filter="service=orders")
    assert sorted(each["annotations"]["summary"] for each in group["alerts"]) == ["orders is ill", "the other rule's"]


@pytest.mark.both_databases
@pytest.mark.django_db
def test_the_number_of_queries_does_not_grow_with_the_alerts(api: Api, django_assert_max_num_queries: Any) -> None:
    for number in range(12):
        fire(f"s{number}")
    with django_assert_max_num_queries(12):
        assert len(asked(api, "alerts")) == 12


@pytest.mark.both_databases
@pytest.mark.django_db
def test_a_member_of_a_team_sees_what_the_team_owns(api_as: Any, outage: str) -> None:
    user = User.objects.create(username="member")
    Membership.objects.create(user=user, team=people.create_team(actor=ACTOR, name="ours"), role=Role.VIEWER)
    assert asked(api_as(actor_for_user(user)), "alerts") == []


@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool (Debian: prometheus-alertmanager) is not installed")
@pytest.mark.django_db(transaction=True)
def test_amtool_works_against_it(live_server: Any, admin_user: User, admin_actor: Actor, tmp_path: Path) -> None:
    """Silence add, query, update, expire; alert query; status: Alertmanager's own client finds its own API."""
    fire("orders", "critical")
    settle.settle(timezone.now())
    _row, token = tokens.create(actor=ACTOR, user=admin_user, name="amtool", scopes=["all"], expires_at=None)
    config = tmp_path / "http.yml"
    config.write_text(f"authorization:\n  type: Bearer\n  credentials: {token}\n")

    def amtool(*arguments: str) -> str:
        command = ["amtool", f"--alertmanager.url={live_server.url}/alertmanager", f"--http.config.file={config}"]
        found = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=30, check=False)
        assert found.returncode == 0, found.stderr
        return found.stdout

    assert "orders is ill" in amtool("alert", "query")
    key = amtool("silence", "add", "service=orders", "severity=~crit.*", "--comment=work", "--duration=2h").strip()
    assert key in amtool("silence", "query", "service=orders")
    assert key not in amtool("silence", "query", "service!=orders")
    settle.settle(timezone.now())
    assert "orders is ill" not in amtool("alert", "query")
    assert "suppressed" in amtool("alert", "query", "--silenced", "service=orders")
    amtool("silence", "update", "--duration=3h", "--comment=longer", key)
    assert "longer" in amtool("silence", "query")
    amtool("silence", "expire", key)
    assert key not in amtool("silence", "query")
    assert key in amtool("silence", "query", "--expired")
    assert "disabled" in amtool("cluster", "show")

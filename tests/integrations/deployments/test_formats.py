"""Each tool's deliveries as they come over HTTP: proven, read, mapped, taken once, in whatever order they arrive."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integrations.deployments import payloads
from tests.integrations.deployments.payloads import SECRET, SHA
from tongchou.changes import actions
from tongchou.changes.actions import SenderWanted
from tongchou.changes.models import Deployment, DeploymentSource
from tongchou.changes.models_deliveries import SenderDelivery
from tongchou.core.access import system
from tongchou.core.models import Event

pytestmark = pytest.mark.django_db
TESTS = system("tests")
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
RULED: list[dict[str, Any]] = [
    {"name": "acme/*", "part": "Deploy", "service": "orders", "to_environment": "production"},
    {"name": "acme/*", "part": "push", "ref": "main", "service": "{name}", "version": "short_sha"},
    {"name": "shop/*", "service": "{name}", "to_environment": "{param.TARGET}"},
    {"name": "orders-pipeline", "service": "orders"},
]


@pytest.fixture(autouse=True)
def _now() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def sender(kind: str, rules: list[dict[str, Any]] | None = None) -> None:
    """A sender named like its format."""
    wanted = SenderWanted(secret=SECRET, format=kind, rules=RULED if rules is None else rules)
    actions.configure_sender(actor=TESTS, name=kind, wanted=wanted)


def send(kind: str, body: Any, *, event: str = "", delivery: str = "d-1", address: str = "", **headers: str) -> Any:
    """Post a body as its tool does; `headers` replace the usual ones."""
    raw = body if isinstance(body, bytes) else payloads.encoded(body)
    usual = payloads.headers_of(kind, raw, delivery=delivery, event=event, now_seconds=int(time.time()))
    sent = usual | {name.replace("_", "-"): value for name, value in headers.items()}
    client = Client(enforce_csrf_checks=True)
    return client.post(
        address or f"/hooks/deployments/{kind}",
        raw,
        content_type="application/json",
        headers={name: value for name, value in sent.items() if value},
    )


def only() -> Deployment:
    """The one deployment there is."""
    return Deployment.objects.get()


def lines() -> list[tuple[str, str]]:
    """Verdict and reason of the deliveries, oldest first."""
    return list(SenderDelivery.objects.order_by("id").values_list("verdict", "reason"))


def test_the_states_of_a_github_deployment_are_one_deployment() -> None:
    sender("github", [])
    for number, (state, minute) in enumerate((("queued", 0), ("in_progress", 1), ("success", 3), ("inactive", 30))):
        body = payloads.github_status(state, f"2026-11-28T10:{minute:02}:00Z")
        assert send("github", body, event="deployment_status", delivery=f"d-{number}").status_code == 202
    row = only()
    assert (row.service_name, row.version, row.environment, row.tier) == (
        "orders",
        SHA[:12],
        "production",
        "production",
    )
    assert (row.status, row.commit_sha, row.actor_name) == ("succeeded", SHA, "octocat")
    assert (row.finished_at - row.started_at).total_seconds() == 180  # type: ignore[operator]  # it ended
    assert lines() == [("accepted", "")] * 3 + [("ignored", "inactive")]
    verbs = Event.objects.filter(verb__startswith="deployment.").order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["deployment.started", "deployment.finished"]


def test_a_workflow_run_is_a_deployment_only_by_a_rule_and_brings_its_commit_time() -> None:
    sender("github")
    body = payloads.github_run("completed", "success", "2026-11-28T10:04:00Z")
    send("github", body, event="workflow_run")
    tests = payloads.github_run("completed", "success", "2026-11-28T10:04:00Z", name="Tests", id=5)
    answer = send("github", tests, event="workflow_run", delivery="d-2")
    assert (answer.status_code, answer.json()["ignored"]) == (202, "no_rule")
    row = only()
    assert (row.service_name, row.environment, row.commit_at) == (
        "orders",
        "production",
        datetime(2026, 11, 28, 8, tzinfo=UTC),
    )


def test_what_was_ignored_is_taken_when_it_comes_again_after_a_rule_was_made() -> None:
    sender("github", [])
    body = payloads.github_run("completed", "success", "2026-11-28T10:04:00Z")
    assert send("github", body, event="workflow_run").json()["ignored"] == "no_rule"
    sender("github")
    assert send("github", body, event="workflow_run").json()["created"] is True


def test_a_hotfix_is_one_only_when_the_sender_says_so() -> None:
    sender("github")
    words = {"payload": {"unplanned": True, "incident": "INC-12", "version": "1.4.1"}}
    send("github", payloads.github_status("success", "2026-11-28T10:04:00Z", **words), event="deployment_status")
    named = payloads.github_status("success", "2026-11-28T10:04:00Z", number=8, ref="hotfix/INC-13")
    send("github", named, event="deployment_status", delivery="d-2")
    said = Deployment.objects.order_by("delivery_id").values_list("version", "unplanned", "incident_number")
    assert list(said) == [("1.4.1", True, 12), (SHA[:12], False, None)]


def test_a_gitlab_deployment_is_told_by_its_hook() -> None:
    sender("gitlab")
    late = payloads.gitlab_deployment("success", "2026-11-28 18:02:00 +0800")
    send("gitlab", late, event="Deployment Hook", delivery="d-2")
    send("gitlab", payloads.gitlab_deployment("running", "2026-11-28 18:00:00 +0800"), event="Deployment Hook")
    row = only()
    assert (row.service_name, row.version, row.status, row.tier) == ("orders", "v1.4.0", "succeeded", "production")
    assert (row.commit_sha, row.started_at) == (SHA, datetime(2026, 11, 28, 10, tzinfo=UTC))


def test_a_gitlab_pipeline_says_in_its_variables_that_it_is_a_hotfix() -> None:
    sender("gitlab")
    send("gitlab", payloads.gitlab_pipeline("success", "2026-11-28 10:05:00 UTC"), event="Pipeline Hook")
    row = only()
    assert (row.service_name, row.unplanned, row.incident_number) == ("orders", True, 12)
    assert row.commit_at == datetime(2026, 11, 28, 8, tzinfo=UTC)
    skipped = payloads.gitlab_pipeline("skipped", None)
    assert send("gitlab", skipped, event="Pipeline Hook", delivery="d-3").json()["ignored"] == "skipped"


def test_jenkins_says_the_state_of_the_build_before_while_one_runs() -> None:
    sender("jenkins")
    for phase, status in (("QUEUED", None), ("STARTED", "FAILURE"), ("COMPLETED", "SUCCESS"), ("FINALIZED", "SUCCESS")):
        send("jenkins", payloads.jenkins(phase, status))
        if phase == "STARTED":
            assert only().status == "running"
    row = only()
    assert (row.service_name, row.version, row.environment, row.status) == (
        "orders",
        "1.4.0",
        "production",
        "succeeded",
    )
    assert (row.finished_at - row.started_at).total_seconds() == 90  # type: ignore[operator]  # it ended


def test_a_token_may_stand_in_the_address_for_tools_that_set_no_header() -> None:
    sender("jenkins")
    body = payloads.jenkins("FINALIZED", "UNSTABLE")
    address = f"/hooks/deployments/jenkins?token={SECRET.replace(' ', '%20')}"
    assert send("jenkins", body, address="/hooks/deployments/jenkins", Authorization="").status_code == 401
    assert send("jenkins", body, address=address, Authorization="").status_code == 202
    assert only().status == "failed"


def test_an_application_of_argo_cd_is_deployed_when_it_is_well() -> None:
    sender("argocd")
    send("argocd", payloads.argocd("Succeeded", "Progressing"))
    assert only().status == "running"
    send("argocd", payloads.argocd("Succeeded", "Healthy"))
    row = only()
    assert (row.service_name, row.version, row.commit_sha, row.status) == ("orders", "1.4.0", SHA, "succeeded")
    whole = {
        "metadata": {"name": "carts", "labels": {"env": "production"}},
        "spec": {"project": "shop", "destination": {"server": "https://kubernetes.default.svc"}},
        "status": {
            "health": {"status": "Degraded"},
            "sync": {"revision": SHA},
            "operationState": {
                "phase": "Succeeded",
                "startedAt": "2026-11-28T11:00:00Z",
                "finishedAt": "2026-11-28T11:01:00Z",
            },
        },
    }
    send("argocd", whole)
    assert Deployment.objects.get(service_name="carts").status == "failed"


def test_cdevents_are_read_with_and_without_their_envelope() -> None:
    sender("cdevents")
    data = payloads.cdevent()
    assert send("cdevents", payloads.enveloped(data)).json()["created"] is True
    binary = {"Ce_Type": data["context"]["type"], "Ce_Id": "271069a8", "Ce_Source": "/event/source/123"}
    assert send("cdevents", data, **binary).json()["created"] is False
    row = only()
    assert (row.service_name, row.version, row.environment) == ("orders", "1.4.0", "production")
    assert (row.commit_sha, row.commit_at) == (SHA, datetime(2026, 11, 28, 8, tzinfo=UTC))
    back = payloads.cdevent("service.rolledback", identity="2")
    send("cdevents", payloads.enveloped(back))
    assert Deployment.objects.get(rollback=True).version == "1.4.0"
    gone = send("cdevents", payloads.enveloped(payloads.cdevent("service.removed", identity="3")))
    assert gone.json()["ignored"] == "not_an_event"


def test_a_pipeline_of_cdevents_is_followed_from_its_beginning_to_its_end() -> None:
    sender("cdevents")
    for predicate, more in (("started", {}), ("finished", {"outcome": "failure"})):
        event = payloads.cdevent(f"pipelinerun.{predicate}", identity=predicate, pipelineName="orders-pipeline", **more)
        send("cdevents", payloads.enveloped(event))
    assert (only().status, only().service_name) == ("failed", "orders")


@pytest.mark.parametrize("kind", ["github", "gitlab", "jenkins", "argocd", "cdevents"])
def test_who_cannot_prove_it_is_refused_and_leaves_one_line(kind: str) -> None:
    sender(kind)
    wrong = {"X_Hub_Signature_256": "sha256=" + "0" * 64, "X_Gitlab_Token": "wrong", "Authorization": "Bearer wrong"}
    for _again in range(3):
        answer = send(kind, {"object_kind": "deployment"}, **wrong)
        assert (answer.status_code, answer.json()["code"]) == (401, "deployment.signature")
    none = dict.fromkeys(wrong, "")
    assert send(kind, {}, **none).status_code == 401
    assert not Deployment.objects.exists()
    assert lines() == [("refused", "deployment.signature")]


def test_a_changed_body_is_not_what_was_signed() -> None:
    sender("github")
    body = payloads.encoded(payloads.github_status("success", "2026-11-28T10:04:00Z"))
    headers = {name.replace("-", "_"): value for name, value in payloads.headers_of("github", body).items()}
    assert send("github", body.replace(b"acme/orders", b"acme/cheese"), **headers).status_code == 401


@pytest.mark.parametrize("kind", ["github", "gitlab", "jenkins", "argocd", "cdevents"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"[" * 30_000, b'{"a": NaN}', b'"\\ud800"'])
def test_garbage_ends_in_an_answer_and_no_deployment(kind: str, body: bytes) -> None:
    sender(kind)
    assert send(kind, body, event="deployment").status_code in (202, 400, 422)
    assert not Deployment.objects.exists()
    assert [verdict for verdict, _reason in lines()] in (["refused"], ["ignored"])


def test_a_sender_of_another_format_is_told_so() -> None:
    sender("jenkins")
    body = payloads.encoded(payloads.github_status("success", "2026-11-28T10:04:00Z"))
    answer = send("jenkins", body, X_GitHub_Event="deployment_status")
    assert (answer.status_code, answer.json()["code"]) == (422, "deployment.form")


def test_a_sender_that_is_off_takes_nothing() -> None:
    sender("gitlab")
    actions.configure_sender(actor=TESTS, name="gitlab", wanted=SenderWanted(enabled=False))
    answer = send("gitlab", payloads.gitlab_deployment("success", "2026-11-28 10:02:00 +0000"))
    assert (answer.status_code, answer.json()["code"]) == (409, "deployment.off")


def test_gitlabs_webhook_uuid_does_not_name_a_delivery() -> None:
    sender("gitlab")
    for number in (1, 2):
        body = payloads.gitlab_deployment("success", f"2026-11-28 10:0{number}:00 +0000", number=number)
        send("gitlab", body, Idempotency_Key="")
    assert Deployment.objects.count() == 2


def _stories() -> list[tuple[str, str, Any]]:
    """50 deliveries of 17 deployments of three tools: (format, event, body)."""
    told: list[tuple[str, str, Any]] = []
    for number in range(6):
        for state, second in (("queued", 0), ("in_progress", 20), ("failure" if number == 3 else "success", 50)):
            at = f"2026-11-28T10:{number:02}:{second:02}Z"
            body = payloads.github_status(state, at, number=number, created_at=f"2026-11-28T10:{number:02}:00Z")
            body["deployment"]["ref"] = f"v1.{number}.0"
            told.append(("github", "deployment_status", body))
    for number in range(6):
        for state, second in (("running", 0), ("failed" if number == 2 else "success", 40)):
            at = f"2026-11-28 10:{number:02}:{second:02} +0000"
            told.append(("gitlab", "Deployment Hook", payloads.gitlab_deployment(state, at, number=number)))
            told[-1][2]["ref"] = f"v2.{number}.0"
    for number in range(5):
        for phase in ("QUEUED", "STARTED", "COMPLETED", "FINALIZED"):
            body = payloads.jenkins(phase, "ABORTED" if number == 1 else "SUCCESS", number=number)
            body["build"]["timestamp"] += number * 1000_000
            body["build"]["parameters"]["VERSION"] = f"3.{number}"
            told.append(("jenkins", phase, body))
    return told


STORIES = _stories()
COLUMNS = (
    *("source", "delivery_id", "service_name", "version", "previous_version", "environment", "status"),
    *("started_at", "finished_at", "commit_sha", "url", "told"),
)


def _rows() -> list[tuple[Any, ...]]:
    return list(Deployment.objects.order_by("source", "delivery_id").values_list(*COLUMNS))


@settings(max_examples=3)  # 150 requests each; the fold itself is tried by the hundred in tests/changes
@given(st.permutations([*range(len(STORIES)), *range(len(STORIES))]))
def test_deliveries_twice_and_in_any_order_end_in_the_same_rows(order: list[int]) -> None:
    assert len(STORIES) == 50
    for kind in ("github", "gitlab", "jenkins"):
        sender(kind)
    for number in range(len(STORIES)):
        kind, event, body = STORIES[number]
        send(kind, body, event=event, delivery=f"d-{number}")
    expected = _rows()
    assert len(expected) == 17
    assert {row[4] for row in expected} >= {"", "v1.1.0", "v2.1.0", "3.0"}
    Deployment.objects.all().delete()
    SenderDelivery.objects.all().delete()
    for number in order:
        kind, event, body = STORIES[number]
        send(kind, body, event=event, delivery=f"d-{number}")
    assert _rows() == expected
    assert SenderDelivery.objects.filter(verdict="accepted").count() == 50
    assert SenderDelivery.objects.filter(verdict="duplicate").count() == 50
    Deployment.objects.all().delete()
    DeploymentSource.objects.all().delete()


def test_the_log_is_bounded_and_keeps_nothing_of_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tongchou.changes.deliveries.KEPT", 5)
    sender("gitlab")
    for number in range(9):
        body = payloads.gitlab_deployment(
            "success", "2026-11-28 10:02:00 +0000", number=number, ref="canary-of-secrets"
        )
        send("gitlab", body, delivery=f"d-{number}")
    assert SenderDelivery.objects.count() == 5
    kept = str(list(SenderDelivery.objects.values()))
    assert "canary" not in kept
    assert SECRET not in kept

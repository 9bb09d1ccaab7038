"""Who can write a procedure must not be able to read a secret by it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from tests.runbooks.conftest import TESTS, Effects, ask, decide, work
from tongchou.core import secrets
from tongchou.core.access import Actor
from tongchou.core.problems import Conflict, Invalid
from tongchou.runbooks import actions
from tongchou.runbooks.models import Grade, Procedure, ProcedureVersion, Run, RunStep

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

STEAL = """
name: steal
title: Look at something
grade: read
max_targets: 1
steps:
  - name: send
    http: {method: GET, url: "${target.control_url}/log", headers: {X-Note: "${secret.control}"}}
"""
REVERSIBLE = STEAL.replace("grade: read", "grade: reversible")


@pytest.fixture(autouse=True)
def _stored(db: None) -> None:
    for name in ("control", "deployments:shop", "channel:7f3c"):
        secrets.put(actor=TESTS, name=name, value="hunter2-hunter2")


def test_a_procedure_that_runs_without_approval_cannot_send_a_secret(operator_actor: Actor, effects: Effects) -> None:
    for text in (STEAL, STEAL.replace("GET", "HEAD")):
        with pytest.raises(Invalid) as refused:
            actions.put_procedure(actor=operator_actor, name="steal", text=text)
        assert refused.value.field == "grade"
        assert "send" in str(refused.value.detail)
        assert refused.value.remedy
    assert not Procedure.objects.exists()
    assert effects.seen == []


def test_a_procedure_of_grade_read_saved_before_the_rule_does_not_run(
    operator_actor: Actor, execution_on: None, effects: Effects
) -> None:
    row = Procedure.objects.create(
        name="steal",
        title={"en": "x", "zh": "x"},
        text=STEAL,
        content_hash="0" * 64,
        grade=Grade.READ,
        updated_at=timezone.now(),
    )
    ProcedureVersion.objects.create(procedure=row, number=row.version_number, text=STEAL, content_hash="0" * 64)
    with pytest.raises(Invalid):
        ask(operator_actor, row)
    assert effects.seen == []


@pytest.mark.usefixtures("standby")
def test_a_reading_step_with_a_secret_needs_execution(operator_actor: Actor, effects: Effects) -> None:
    row = actions.put_procedure(actor=operator_actor, name="steal", text=REVERSIBLE)
    with pytest.raises(Conflict) as refused:
        ask(operator_actor, row)
    assert "execution_off" in str(refused.value.extra)
    assert effects.seen == []


def test_a_reading_step_with_a_secret_waits_for_approval_and_counts_as_altering(
    operator_actor: Actor, approver_actor: Actor, execution_on: None, effects: Effects
) -> None:
    row = actions.put_procedure(actor=operator_actor, name="steal", text=REVERSIBLE)
    run = work(ask(operator_actor, row))
    assert (run.state, effects.seen) == ("awaiting_approval", [])
    assert list(RunStep.objects.values_list("alters", flat=True)) == [True]
    decide(approver_actor, run)
    assert work(run).state == "succeeded"
    assert effects.seen[0].headers["x-note"] == "hunter2-hunter2"


@pytest.mark.parametrize("name", ["deployments:shop", "channel:7f3c", "deployments:not-stored"])
def test_a_secret_of_another_room_is_refused_by_name(operator_actor: Actor, name: str) -> None:
    text = REVERSIBLE.replace("secret.control", f"secret.{name}")
    with pytest.raises(Invalid) as refused:
        actions.put_procedure(actor=operator_actor, name="steal", text=text)
    assert refused.value.field == "steps[0].http.headers.X-Note"
    assert name in str(refused.value.detail)
    assert refused.value.remedy
    assert not Run.objects.exists()

"""Plans and applies with the real terraform and its built-in terraform_data: what a person who uses it relies on."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.db import models as db_models

from tests.changes.conftest import TESTS, applied, approved, configured, needs_terraform, planned, secret
from tongchou.changes import iac_applying, iac_files, iac_planning
from tongchou.changes.models_iac import Plan, PlanState
from tongchou.core import approvals, jobs, settings_store
from tongchou.core.access import Actor
from tongchou.core.models import Event
from tongchou.core.problems import Conflict
from tongchou.core.refs import ref
from tongchou.inventory import sources
from tongchou.inventory.models import Resource

pytestmark = [pytest.mark.django_db(transaction=True), needs_terraform]
CANARY = "canary-9c1e7d"
MAIN = """
variable "password" {
  type      = string
  sensitive = true
}
variable "size" {
  type    = number
  default = 2
}
resource "terraform_data" "db" {
  input = { password = var.password, size = var.size, again = nonsensitive("x-${var.password}") }
}
resource "terraform_data" "web" {
  count            = var.size
  triggers_replace = [var.size]
  provisioner "local-exec" { command = "echo made with ${nonsensitive(var.password)}" }
}
output "url" { value = "postgres://shop:${nonsensitive(var.password)}@db" }
output "password" {
  value     = var.password
  sensitive = true
}
"""


@pytest.fixture
def shop(folder: Path) -> Any:
    """The workspace `shop`, whose password is a secret."""
    (folder / "main.tf").write_text(MAIN)
    return configured(folder, secret_variables={"password": secret("shop-db", CANARY)})


def everything_kept() -> str:
    """Every row of the platform as text."""
    return "\n".join(serializers.serialize("json", _rows(model)) for model in _models())


def _models() -> list[type[db_models.Model]]:
    return [each for each in apps.get_models() if each.__module__.startswith("tongchou.") and not each._meta.proxy]


def _rows(model: type[db_models.Model]) -> Any:
    return model._default_manager.all()


def test_a_plan_is_made_approved_and_applied_as_it_is(
    shop: Any, operator_actor: Actor, approver_actor: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    plan = planned(shop, operator_actor)
    assert plan.state == PlanState.READY, plan.output
    assert {key: count for key, count in plan.counts.items() if count} == {"create": 3, "outputs": 2}
    assert plan.verdict == "pass"
    assert plan.format_version.startswith("1.")
    content = iac_files.content(plan.pk)
    assert content is not None
    assert iac_files.digest(content) == plan.sha256
    assert stat.S_IMODE(iac_files.place(plan.pk).stat().st_mode) == 0o600

    with pytest.raises(Conflict, match=r"plan\.unapproved"):
        iac_applying.apply_plan(actor=operator_actor, plan=plan)
    approval = approved(plan, operator_actor, approver_actor)
    assert approval.content_hash == plan.sha256
    assert approval.scope["workspace"] == "shop"
    assert approval.scope["destroys"] == 0
    plan = applied(plan, operator_actor)
    assert plan.state == PlanState.APPLIED, plan.output
    assert "Apply complete! Resources: 3 added" in plan.output
    assert iac_files.content(plan.pk) is None
    shop.refresh_from_db()
    assert shop.serial > 0
    assert shop.lineage
    verbs = list(Event.objects.filter(abouts__ref=ref(plan)).order_by("pk").values_list("verb", flat=True))
    told = [verb for verb in verbs if verb.startswith("plan.")]
    assert told == ["plan.requested", "plan.ready", "plan.applying", "plan.applied"]
    with pytest.raises(Conflict, match=r"plan\.state"):
        iac_applying.apply_plan(actor=operator_actor, plan=plan)

    again = planned(shop, operator_actor)
    assert again.state == PlanState.EMPTY, again.output
    assert iac_files.content(again.pk) is None
    shop.refresh_from_db()
    assert shop.resources == 3
    assert "(sensitive)" in json.dumps(plan.summary)
    for place in (everything_kept(), caplog.text):
        assert CANARY not in place


def test_a_plan_that_fails_says_why_and_tells_no_secret(shop: Any, folder: Path) -> None:
    (folder / "more.tf").write_text(
        'variable "token" {\n  type = string\n  sensitive = true\n  default = "token-canary-77"\n}\n'
        'resource "terraform_data" "broken" {\n  input = nonsensitive(var.token)\n  lifecycle {\n    precondition {\n'
        '      condition     = nonsensitive(var.password) == "other"\n'
        '      error_message = "not ${nonsensitive(var.password)} but ${nonsensitive(var.token)}"\n    }\n  }\n}\n'
    )
    plan = planned(shop)
    assert plan.state == PlanState.FAILED
    assert "precondition failed" in plan.output
    assert "more.tf:" in plan.output
    kept = everything_kept()
    assert CANARY not in kept
    assert "token-canary-77" not in kept


@pytest.mark.parametrize("what", ["file", "state", "expired", "stopped"])
def test_nothing_but_what_was_approved_is_applied(
    what: str, shop: Any, operator_actor: Actor, approver_actor: Actor
) -> None:
    plan = planned(shop, operator_actor)
    approval = approved(plan, operator_actor, approver_actor)
    code = ""
    if what == "file":
        iac_files.place(plan.pk).write_bytes((iac_files.content(plan.pk) or b"") + b" ")
        code = "plan.altered"
    elif what == "expired":
        type(approval).objects.filter(pk=approval.pk).update(expires_at=approval.requested_at)
        code = "plan.unapproved"
    elif what == "stopped":
        settings_store.put(actor=TESTS, key="execution.enabled", value=False)
        code = "execution.disabled"
    else:  # somebody applied meanwhile, from elsewhere
        other = planned(shop, operator_actor, kind="destroy")
        assert other.state == PlanState.EMPTY
        Plan.objects.filter(pk=plan.pk).update(serial=7)
        plan.refresh_from_db()
        assert applied(plan, operator_actor).state == PlanState.OUTDATED
        assert plan.outcome == {"code": "plan.stale"}
        return
    with pytest.raises(Conflict, match=code):
        iac_applying.apply_plan(actor=operator_actor, plan=plan)


def test_a_newer_plan_takes_the_place_of_an_older_one(shop: Any, operator_actor: Actor) -> None:
    first = planned(shop, operator_actor)
    asked = iac_applying.ask_approval(actor=operator_actor, plan=first)
    second = planned(shop, operator_actor)
    first.refresh_from_db()
    asked.refresh_from_db()
    assert (first.state, second.state) == (PlanState.OUTDATED, PlanState.READY)
    assert asked.state == "cancelled"
    assert iac_files.content(first.pk) is None


def test_while_one_is_under_way_no_other_begins(shop: Any, operator_actor: Actor, approver_actor: Actor) -> None:
    plan = planned(shop, operator_actor)
    approved(plan, operator_actor, approver_actor)
    busy = Plan.objects.create(workspace=shop, number=99, state=PlanState.APPLYING, requested_by_name="x")
    with pytest.raises(Conflict, match=r"plan\.under_way"):
        iac_applying.apply_plan(actor=operator_actor, plan=plan)
    waits = iac_planning.request_plan(actor=operator_actor, workspace=shop)
    jobs.run_due()
    waits.refresh_from_db()
    assert waits.state == PlanState.QUEUED
    busy.delete()
    assert approvals.valid(
        subject=ref(plan), action="changes.plan.apply", content_hash=plan.sha256, scope=plan.approval.scope
    )


def test_the_state_goes_into_the_inventory_after_an_apply(
    shop: Any, operator_actor: Actor, approver_actor: Actor, folder: Path
) -> None:
    (folder / "main.tf").write_text(MAIN.replace("nonsensitive(var.password)", '"hidden"'))
    wanted = sources.Wanted(kind="terraform", settings={}, interval_seconds=300, enabled=True)
    sources.configure_source(actor=TESTS, name="shop-state", wanted=wanted)
    workspace = configured(folder, secret_variables={"password": "shop-db"}, state_source="shop-state")
    plan = planned(workspace, operator_actor)
    approved(plan, operator_actor, approver_actor)
    assert applied(plan, operator_actor).state == PlanState.APPLIED
    row = sources.get_source("shop-state")
    assert row.last_error == ""
    assert row.last_run_at is not None
    assert not Resource.objects.filter(name__contains=CANARY).exists()


def test_a_workspace_of_its_own_state_and_variables_of_a_file(folder: Path, operator_actor: Actor) -> None:
    (folder / "main.tf").write_text('variable "n" {}\nresource "terraform_data" "a" { input = var.n }\n')
    (folder / "blue.tfvars").write_text('n = "from-the-file"\n')
    workspace = configured(folder, terraform_workspace="blue", var_files=["blue.tfvars"])
    plan = planned(workspace, operator_actor)
    assert plan.state == PlanState.READY, plan.output
    assert "from-the-file" in json.dumps(plan.summary)
    (folder / "second.tf").write_text('resource "terraform_data" "b" {}\n')
    assert planned(workspace, operator_actor).counts["create"] == 2

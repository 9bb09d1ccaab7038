"""What is read of plans, how it reads, and what the policy rules say to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation

from tongchou.changes import iac_lines, iac_plan, iac_policy
from tongchou.core.problems import Invalid


def change(address: str, *actions: str, before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    """One resource of a plan."""
    found = {"actions": list(actions), "before": before, "after": after, **more.pop("change", {})}
    return {"address": address, "type": address.rpartition(".")[0], "mode": "managed", "change": found, **more}


def plan(*changes: dict[str, Any], **more: Any) -> iac_plan.Summary:
    """A plan, read."""
    return iac_plan.read({"format_version": "1.2", "resource_changes": list(changes), "of_later": {"x": 1}, **more})


@pytest.mark.parametrize("version", ["2.0", "0.2", "", None, 1])
def test_only_format_1_is_read(version: Any) -> None:
    with pytest.raises(Invalid):
        iac_plan.read({"format_version": version, "resource_changes": []})


def test_every_action_is_counted_under_its_name() -> None:
    summary = plan(
        change("a.1", "create", after={"x": 1}),
        change("a.2", "update", before={"x": 1}, after={"x": 2}),
        change("a.3", "delete", before={"x": 1}),
        change("a.4", "delete", "create", before={"x": 1}, after={"x": 2}),
        change("a.5", "create", "delete", before={"x": 1}, after={"x": 2}),
        change("a.6", "no-op", before={"x": 1}, after={"x": 1}),
        change("a.7", "forget", before={"x": 1}),
        change("a.8", "no-op", before={"x": 1}, after={"x": 1}, previous_address="a.old"),
        change("data.a.9", "read", after={"x": 1}) | {"mode": "data"},
    )
    counted = {"create": 1, "update": 1, "delete": 1, "replace": 2, "forget": 1, "no_op": 2, "read": 1}
    assert {key: count for key, count in summary.counts.items() if count} == counted
    assert [each["symbol"] for each in summary.found["changes"]] == ["+", "~", "-", "-/+", "+/-", ".", " ", "<="]
    assert summary.changes_something


def test_lines_say_what_forces_a_replacement_and_why() -> None:
    summary = plan(
        change(
            "aws_db_instance.main",
            "delete",
            "create",
            before={"engine": "mysql", "id": "db-1", "script": "a\nb\n"},
            after={"engine": "postgres", "script": "a\nc\n"},
            change={"replace_paths": [["engine"]], "after_unknown": {"id": True}},
            action_reason="replace_because_cannot_update",
        )
    )
    with translation.override("en"):
        lines = iac_lines.lines(summary.found)
    assert [(line.what, line.text) for line in lines] == [
        ("del", "-/+ aws_db_instance.main  # an attribute cannot be altered in place"),
        ("mod", '    ~ engine: "mysql" → "postgres"  # forces replacement'),
        ("mod", '    ~ id: "db-1" → (known after apply)'),
        ("mod", "    ~ script:"),
        ("head", "        @@ -1,2 +1,2 @@"),
        ("same", "         a"),
        ("del", "        -b"),
        ("add", "        +c"),
    ]


def test_a_large_plan_is_counted_whole_and_kept_in_part() -> None:
    summary = plan(*(change(f"a.{n}", "create", after={"x": n}) for n in range(iac_plan.MAX_CHANGES + 7)))
    assert summary.counts["create"] == iac_plan.MAX_CHANGES + 7
    assert len(summary.found["changes"]) == iac_plan.MAX_CHANGES
    assert summary.found["left_out"] == 7
    rules = iac_policy.checked([{"rule": "tags_required", "tags": ["owner"], "reason": "r", "level": "warn"}])
    verdict, findings = iac_policy.judge(summary.found, summary.counts, rules)
    assert (verdict, findings[-1].rule) == ("deny", "too_large")


def judged(summary: iac_plan.Summary, *rules: dict[str, Any]) -> tuple[str, list[tuple[str, ...]]]:
    """The verdict, and what each finding is about."""
    verdict, found = iac_policy.judge(summary.found, summary.counts, iac_policy.checked(list(rules)))
    return verdict, [each.about for each in found]


def test_rules_about_what_is_destroyed_or_replaced() -> None:
    summary = plan(
        change("aws_db_instance.a", "delete", before={"x": 1}),
        change("aws_db_instance.b", "delete", "create", before={"x": 1}, after={"x": 2}),
        change("aws_instance.c", "delete", before={"x": 1}),
    )
    no = {"rule": "no_destroy", "types": ["aws_db_*"], "reason": "data"}
    assert judged(summary, no) == ("deny", [("aws_db_instance.a", "aws_db_instance.b")])
    assert judged(summary, {**no, "rule": "no_replace", "level": "warn"}) == ("warn", [("aws_db_instance.b",)])
    assert judged(summary, {**no, "types": ["google_*"]}) == ("pass", [])
    assert judged(summary, {"rule": "no_destroy", "addresses": ["*.c"], "reason": "r"}) == (
        "deny",
        [("aws_instance.c",)],
    )
    assert judged(summary, {"rule": "max_altered", "most": 2, "reason": "r"})[0] == "deny"
    assert judged(summary, {"rule": "max_altered", "most": 3, "reason": "r"})[0] == "pass"
    assert judged(summary, {"rule": "max_destroyed", "most": 2, "level": "warn", "reason": "r"})[0] == "warn"


def test_rules_about_tags_and_values() -> None:
    tagged = change("t.a", "create", after={"tags": {"owner": "x"}, "cidr": ["0.0.0.0/0"]})
    bare = change("t.b", "create", after={"tags": {"owner": ""}, "cidr": ["10.0.0.0/8"]})
    late = change("t.c", "create", after={}, change={"after_unknown": {"tags": True}})
    lost = change("t.d", "update", before={"tags": {"owner": "x"}}, after={"tags": {}})
    other = change("t.e", "update", before={"n": 1}, after={"n": 2})
    summary = plan(tagged, bare, late, lost, other)
    assert judged(summary, {"rule": "tags_required", "tags": ["owner"], "reason": "r"}) == ("deny", [("t.b", "t.d")])
    world = {"rule": "forbidden_value", "path": "cidr[*]", "values": ["0.0.0.0/0"], "reason": "r"}
    assert judged(summary, world) == ("deny", [("t.a",)])


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"rule": "no_such", "reason": "r"}, "policy[0]"),
        ({"rule": "no_destroy"}, "policy[0].reason"),
        ({"rule": "no_destroy", "reason": "r", "level": "deni"}, "policy[0].level"),
        ({"rule": "max_altered", "reason": "r"}, "policy[0]"),
        ({"rule": "max_altered", "reason": "r", "most": True}, "policy[0].most"),
        ({"rule": "tags_required", "reason": "r", "tags": []}, "policy[0].tags"),
        ({"rule": "no_destroy", "reason": "r", "kinds": ["x"]}, "policy[0]"),
        ("no_destroy", "policy[0]"),
    ],
)
def test_a_rule_that_will_not_do_is_named(rule: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        iac_policy.checked([rule])
    assert refused.value.field == field


def test_a_plan_of_a_real_provider_keeps_nothing_its_schema_calls_sensitive() -> None:
    document = json.loads((Path(__file__).parent / "plans" / "aws.json").read_text())
    assert "canary-of-schema-1" in json.dumps(document)
    summary = iac_plan.read(document)
    lines = "\n".join(line.text for line in iac_lines.lines(summary.found))
    assert "canary" not in json.dumps(summary.found) + lines
    assert "    + password: (sensitive)" in lines
    assert summary.counts["create"] == 2
    open_to_all = {
        "rule": "forbidden_value",
        "path": "ingress[*].cidr_blocks[*]",
        "values": ["0.0.0.0/0"],
        "reason": "r",
    }
    assert judged(summary, open_to_all) == ("deny", [("aws_security_group.web",)])

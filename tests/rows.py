"""Rows of every noun of the platform, as many as wanted, by bulk insert: for what must hold however many there are.

A model that is added is filled by the shape of its fields; what a shape cannot tell (a verb, a matcher, a kind) is said
in RECIPES. The first half of the rows hang on the first parent, the others are spread: a page of one thing meets many
parts, and a list meets many things.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cache
from typing import Any

from django.apps import apps
from django.db import models
from django.utils import timezone

from tongchou.incidents import postmortem_actions, postmortem_prefill

Values = dict[str, Any]
KINDS = ("service", "host", "instance", "database", "disk")
SKIPPED = {"core.User", "core.Membership", "core.Segment", "core.Seal", "core.Secret", "core.SettingChange"}
SKIPPED |= {
    "changes.DesignNumber",
    "core.Lease",
    "incidents.Numbering",
    "inventory.Stamp",
}  # one of each, or kept by their own code
PROCEDURE = "name: {0}\ntitle: {{en: Look, zh: 看}}\ngrade: read\nsteps: [{{name: a, read: {{query: up}}}}]\n"
RULE_FILE = "groups: [{name: a, rules: [{alert: Down, expr: up == 0}]}]"


def _first(label: str, number: int) -> models.Model | None:
    found = FOUND.get(label, [])
    return found[number % len(found)] if found else None


FOUND: dict[str, list[Any]] = {}  # what is there of each model while rows are made


def _current(number: int) -> bool:
    """The first thousand are under way, and a few after them: of very many most are history."""
    return number < 1000 or number % 500 == 0


def _ref(label: str, number: int) -> str:
    row = _first(label, number)
    return f"{label.lower()}:{row.pk}" if row else f"core.team:{uuid.uuid4()}"


@cache
def _facts_of(incident: Any) -> Values:
    return postmortem_prefill.gather(incident, now=timezone.now())


def _facts() -> Values:
    return _facts_of(_first("incidents.Incident", 0))


SUBJECTS = ("inventory.Resource", "incidents.Incident", "alerting.AlertGroup", "runbooks.Run", "changes.Deployment")
RECIPES: dict[str, Callable[[int], Values]] = {
    "inventory.Resource": lambda n: {
        "kind": KINDS[n % 5],
        "name": f"node-{n % 977:03d}-{n}",
        "source": "tests",
        "labels": {"env": "prod" if n % 3 else "test"},
        "owner": _first("core.Team", n) if n % 10 == 0 else None,
    },
    "inventory.Relation": lambda n: {"type": "calls", "to_resource": _first("inventory.Resource", n + 1)},
    "inventory.KindDefinition": lambda n: {
        "icon": "box",
        "group": "other",
        "parent": "",
        "former": [],
        "label": {"en": f"Sort {n}"},
        "retired_at": None,
    },
    "inventory.RelationDefinition": lambda n: {
        "label": {"en": f"meets {n}"},
        "reverse_label": {"en": f"is met by {n}"},
        "cardinality": "many-to-many",
        "from_kinds": [],
        "to_kinds": [],
        "retired_at": None,
    },
    "inventory.AddressEntry": lambda n: {
        "use": "seen",
        "vrf": "",
        "family": 4,
        "start": f"{0x0A010000 + n:032x}",
        "length": 32,
    },
    "inventory.SourceConfig": lambda n: {"kind": "host"},
    "inventory.AgentReport": lambda n: {
        "machine": f"machine-id:{n:032x}",
        "twin": 0,
        "about": {"hostname": f"box-{n}", "machine_id": f"{n:032x}"},
        "macs": [],
        "body": {"version": 1},
        "kept": {},
    },
    "inventory.QueueItem": lambda n: {
        "resource": _first("inventory.Resource", n),
        "queue": ("differs", "unowned", "expiring", "identity")[n % 4],
        "key": f"key-{n}",
        "due": timezone.now().date() + timedelta(days=n % 400) if n % 4 == 2 else None,
        "facts": {"declared": "a", "declared_by": "manual", "observed": "b", "observed_by": "x"},
    },
    "inventory.Merge": lambda n: {
        "kept": _first("inventory.Resource", n + 1),
        "absorbed": _first("inventory.Resource", n),
        "undone_at": timezone.now(),
    },
    "inventory.Subscription": lambda n: {
        "target": {"url": "http://127.0.0.1:9/x", "headers": {}},
        "secret": None,
        "verbs": ["*"],
        "kinds": [],
    },
    "inventory.Delivery": lambda n: {"event_id": f"{n}-0123456789abcdef", "body": {}, "state": "sent"},
    "inventory.Endpoint": lambda n: {"url": f"http://127.0.0.1:9/{n}"},
    "alerting.RuleFile": lambda n: {"text": RULE_FILE},
    "alerting.RuleGroup": lambda n: {"position": n},
    "alerting.Rule": lambda n: {"kind": "alert", "expr": "up == 0", "position": n},
    "alerting.Channel": lambda n: {"kind": "webhook", "settings": {"url": f"http://127.0.0.1:9/{n}"}},
    "alerting.Alert": lambda n: {
        "fingerprint": f"{n:016x}",
        "severity": "critical",
        "state": "firing" if _current(n) else "resolved",
        "resolved_at": None if _current(n) else timezone.now() - timedelta(seconds=n),
        "name": "Down",
        "labels": {"alertname": "Down", "service": f"s{n}"},
    },
    "alerting.AlertGroup": lambda n: (
        {"labels": {"alertname": "Down", "n": str(n)}, "severity": "critical"}
        | ({} if _current(n) else {"state": "closed", "closed_at": timezone.now(), "settled_at": timezone.now()})
    ),
    "alerting.Notification": lambda n: {"round": n + 1, "state": "queued" if n < 20 else "sent"},
    "alerting.Silence": lambda n: {
        "matchers": [{"name": "service", "op": "=", "value": f"s{n}"}],
        "ends_at": timezone.now() + timedelta(hours=1 + n % 50),
    },
    "alerting.Objective": lambda n: {
        "name": f"slo-{n}",
        "title": {"en": "Fast", "zh": "快"},
        "target": 0.99,
        "error_query": "errors",
        "total_query": "total",
        "window_seconds": 2_592_000,
        "min_events": 10,
        "min_errors": 1,
    },
    "telemetry.Dashboard": lambda n: {
        "name": f"dashboard-{n}",
        "definition": {"rows": [{"panels": [{"id": 1, "queries": [{"expr": "up"}]}]}]},
    },
    "telemetry.DashboardVersion": lambda n: {"number": n + 1, "content": {"title": "Hosts"}},
    "runbooks.Procedure": lambda n: {
        "name": f"procedure-{n}",
        "title": {"en": "Look", "zh": "看"},
        "text": PROCEDURE.format(f"procedure-{n}"),
        "grade": "read",
    },
    "runbooks.ProcedureVersion": lambda n: {"text": PROCEDURE.format("procedure-0"), "number": n + 1},
    "runbooks.Run": lambda n: {
        "grade": "read",
        "state": "succeeded",
        "about_ref": _ref("incidents.Incident", 0),
        "incident_number": 1,
        "targets": [{"ref": _ref("inventory.Resource", n), "name": f"node-{n}"}],
        "requested_by": None,
        "approval": None,
    },
    "runbooks.RunTarget": lambda n: {"active": False},
    "runbooks.RunStep": lambda n: {"kind": "read", "position": n, "input": {"query": "up"}, "state": "succeeded"},
    "incidents.Incident": lambda n: (
        {"number": n + 1, "severity": "major", "previous": None, "commander": None}
        | ({} if _current(n) else {"state": "resolved", "resolved_at": timezone.now()})
    ),
    "incidents.IncidentGroup": lambda n: {"reason_code": "opened"},
    "incidents.AffectedResource": lambda n: {"role": "symptom"},
    "incidents.Suspect": lambda n: {
        "rank": n + 1,
        "kind": "resource",
        "score": 1.0,
        "ref": _ref("inventory.Resource", n),
    },
    "incidents.Postmortem": lambda n: {"submitted_by": None, "facts": _facts(), "facts_at": timezone.now()},
    "incidents.PostmortemEdition": lambda n: {
        "number": n + 1,
        "content": postmortem_actions.content(_first("incidents.Postmortem", 0)),
    },
    "incidents.Cause": lambda n: {"position": n, "kind": "trigger", "ref": ""},
    "incidents.Improvement": lambda n: {
        "number": n + 1,
        "kind": "detect",
        "due_on": timezone.now().date(),
        "approval": None,
        "reopened_by": None,
    },
    "incidents.CheckSpan": lambda n: {"state": "green"},
    "incidents.Recurrence": lambda n: {"reason_code": "same_chain", "earlier": _first("incidents.Incident", n + 1)},
    "usage.Impact": lambda n: {"about": _ref("incidents.Incident", n), "method": "baseline", "reason": "no_query"},
    "changes.Requirement": lambda n: {"number": n + 1, "owner_team": None, "approval": None, "state": "accepted"},
    "changes.Participant": lambda n: {"answer": "", "about_hash": ""},
    "changes.Option": lambda n: {
        "name": f"option-{n}",
        "position": n + 1,
        "structure": "series: s\n  a | 99% | vendor: v\n  b | ? |",
        "computed": {"availability": None, "missing": ["b"], "weakest": []},
    },
    "changes.Decision": lambda n: {
        "number": n + 1,
        "owner_team": None,
        "status": "proposed",
        "supersedes": None,
        "decision": "Do it.",
    },
    "changes.Scorecard": lambda n: {
        "number": n + 1,
        "owner_team": None,
        "criteria": [{"name": "cost", "weight": "2"}, {"name": "fit", "weight": "1"}],
        "candidates": ["A", "B"],
        "scores": {each: {"cost": {"score": "3", "note": ""}} for each in "AB"},
    },
    "changes.Deployment": lambda n: {"service_name": f"node-{n}", "source": "ci"},
    "changes.Drift": lambda n: {
        "key": f"{n:064x}",
        "source_kind": "playbook",
        "state": "open" if _current(n) else "cleared",
        "subject": f"node-{n}",
        "resource": _first("inventory.Resource", n),
        "ignored_by": None,
    },
    "changes.Playbook": lambda n: {
        "name": f"site-{n}",
        "hosts": "kind=host",
        "playbook": "site.yml",
        "batches": [1, "100%"],
        "owner": None,
    },
    "changes.Baseline": lambda n: {
        "name": f"role-{n}",
        "hosts": "kind=host",
        "watch": {"files": ["/etc/motd"]},
        "owner": None,
        "taken_from": None,
    },
    "changes.PlaybookCheck": lambda n: {"state": "done"},
    "changes.PlaybookHost": lambda n: {"run": None, "of_check": _first("changes.PlaybookCheck", 0), "state": "ok"},
    "changes.Workspace": lambda n: {"name": f"workspace-{n}", "state_source": ""},
    "changes.Plan": lambda n: {"number": n + 1, "verdict": "pass", "state": "ready" if _current(n) else "applied"},
    "changes.Environment": lambda n: {"name": f"environment-{n}", "position": n + 1},
    "changes.Rollout": lambda n: {
        "service": _first("inventory.Resource", n),
        "procedure": _first("runbooks.Procedure", 0),  # whose version is there
        "rollback_procedure": None,
        "targets": {"from": "service"},
        "params": {"version": "${version}"},
        "batches": [1, "100%"],
    },
    "changes.Release": lambda n: {"number": n + 1, "state": "draft" if _current(n) else "succeeded"},
    "changes.ReleaseItem": lambda n: {
        "position": n + 1,
        "service": _first("inventory.Resource", n),
        "deployment": None,
    },
    "changes.ReleaseBatch": lambda n: {"number": n + 1, "targets": [{"ref": "", "name": f"node-{n}"}]},
    "changes.DriftIgnore": lambda n: {"path": f"/etc/file-{n}", "source_kind": ""},
    "core.Event": lambda n: {
        "verb": ("resource.added", "run.failed", "deployment.recorded", "incident.opened")[n % 4],
        "subject": _ref(SUBJECTS[n % 5], n),
        "actor_kind": "system",
        "actor_name": "tests",
        "dedupe_key": None,
    },
    "core.EventAbout": lambda n: {"ref": _ref(SUBJECTS[n % 5], 0)},
    "core.Job": lambda n: (
        {"name": f"tests.job-{n % 7}", "unique_key": None}
        | ({} if _current(n) else {"state": "done", "finished_at": timezone.now()})
    ),
    "core.Approval": lambda n: (
        {
            "subject": _ref("runbooks.Run", n),
            "action": "runbooks.run",
            "expires_at": timezone.now() + timedelta(days=1),
            "about": [_ref("inventory.Resource", n)],
            "scope": {"procedure": "procedure-0"},
        }
        | ({} if _current(n) else {"state": "approved", "decided_at": timezone.now()})
    ),
}


def value_of(field: models.Field[Any, Any], number: int, label: str, shared: int) -> Any:
    """A value by the field's shape: unlike its neighbours', the default where there is one."""
    if field.is_relation:
        related = field.related_model._meta.label
        at = number if field.unique else (0 if number < shared else number)
        return _first(related, at) if related != label else None
    if isinstance(field, models.DateTimeField):
        return None if field.null else timezone.now() - timedelta(seconds=number)
    if field.has_default() and not field.unique:
        return field.get_default()
    if field.null and not field.unique:
        return None
    if field.choices:
        return field.choices[number % len(field.choices)][0]
    if isinstance(field, models.UUIDField):
        return uuid.uuid4()
    if isinstance(field, models.CharField | models.TextField):
        return f"{field.name}-{number}"[-(field.max_length or 200) :]
    if isinstance(field, models.JSONField):
        return {}
    if isinstance(field, models.BinaryField):
        return b""
    if isinstance(field, models.DurationField):
        return timedelta(seconds=number)
    if isinstance(field, models.DateField):
        return timezone.now().date()
    if isinstance(field, models.BooleanField):
        return bool(number % 2)
    return number


def ordered() -> list[type[models.Model]]:
    """Our models, parents first."""
    ours = [each for each in apps.get_models() if each.__module__.startswith("tongchou.")]
    done: list[type[models.Model]] = []

    def visit(model: type[models.Model]) -> None:
        if model in done or model not in ours:
            return
        for field in model._meta.concrete_fields:
            if field.is_relation and field.related_model is not model and not field.null:
                visit(field.related_model)
        done.append(model)

    for each in ours:
        visit(each)
    # what points at anything by a Ref comes last, so that there is something to point at
    last = {"core.Event": 1, "core.EventAbout": 2, "core.Job": 3, "core.Approval": 1}
    return sorted(done, key=lambda each: last.get(each._meta.label, 0))


def grow(until: int, only: Iterable[str] | None = None, most: Callable[[str], int] | None = None) -> dict[str, int]:
    """Make rows until there are `until` of every model (or `most(label)`); returns how many there are of each."""
    FOUND.clear()
    there: dict[str, int] = {}
    for model in ordered():
        label = model._meta.label
        have = model._default_manager.count()
        wanted = min(until, most(label)) if most else until
        if label not in SKIPPED and have < wanted and (only is None or label in only):
            _fill(model, have, wanted)
        FOUND[label] = list(model._default_manager.order_by("pk")[:2000])
        there[label] = model._default_manager.count()
    return there


def _fill(model: type[models.Model], have: int, wanted: int) -> None:
    label, recipe = model._meta.label, RECIPES.get(model._meta.label, lambda _n: {})
    fields = [each for each in model._meta.concrete_fields if not isinstance(each, models.AutoField)]
    shared = min(wanted // 2, 500)
    rows = []
    for number in range(have, wanted):
        said = recipe(number)
        values = {
            each.name: said[each.name] if each.name in said else value_of(each, number, label, shared)
            for each in fields
        }
        rows.append(model(**values))
        if len(rows) == 1000:
            model._default_manager.bulk_create(rows, ignore_conflicts=True)
            rows.clear()
    model._default_manager.bulk_create(rows, ignore_conflicts=True)

"""A rolling upgrade: the previous release's code keeps working on the schema of this one.

The rule, in words: since the last release only add. A new column is nullable or has a default *in the database*
(`db_default`; a default of Python's is dropped there, and the old code's INSERT does not name the column). Nothing is
renamed, removed, made narrower, and no constraint comes over columns that the old code writes.
"""

from __future__ import annotations

import io
import re
import sqlite3
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from tests.served import Served
from tests.slices.test_restore import command
from tests.upgrade.unpacked import LONG, RELEASES, unpack

ROOT = Path(__file__).parents[2]
NEWEST = max(RELEASES)


def released(tmp_path: Path) -> set[tuple[str, str]]:
    """The migrations that the last release had applied."""
    data, _expected = unpack(NEWEST, tmp_path)
    with closing(sqlite3.connect(data / "tongchou.sqlite3")) as database:
        return {(app, name) for app, name in database.execute("SELECT app, name FROM django_migrations")}


Old = dict[tuple[str, str], set[str]]  # the tables of the release, as (app, model), and their fields


def faults(operation: Operation, old: Old, before: Any, app: str) -> list[str]:
    """Why the previous release could not work after this operation."""
    name = str(getattr(operation, "model_name", "") or getattr(operation, "name", "")).lower()
    known = (app, name) in old
    if isinstance(operation, migrations.AddField):
        field = operation.field
        free = field.null or field.many_to_many or field.has_db_default()
        return [] if free or not known else [f"{name}.{operation.name}: neither null nor db_default"]
    if isinstance(operation, migrations.AlterField) and known:
        return narrowed(before.models[app, name].fields[operation.name], operation.field, f"{name}.{operation.name}")
    if isinstance(operation, migrations.AddConstraint) and known:
        free = spares(operation.constraint, old[app, name])
        return [] if free else [f"{name}: a constraint over what the old code writes ({operation.constraint.name})"]
    bad = (
        migrations.RemoveField,
        migrations.RenameField,
        migrations.RenameModel,
        migrations.DeleteModel,
        migrations.AlterModelTable,
        migrations.AlterUniqueTogether,
    )
    return [f"{name}: {type(operation).__name__}"] if isinstance(operation, bad) and known else []


def spares(constraint: models.BaseConstraint, fields: set[str]) -> bool:
    """Whether it leaves the default of a new column out (`~Q(lock="")`): the old code writes nothing else there."""
    condition = getattr(constraint, "condition", None)
    parts = [condition, *condition.children] if isinstance(condition, models.Q) else []
    without = [each.children[0] for each in parts if isinstance(each, models.Q) and each.negated and each.children]
    return any(isinstance(each, tuple) and each[0] not in fields for each in without)


def narrowed(old: models.Field[Any, Any], new: models.Field[Any, Any], name: str) -> list[str]:
    """Whether a column takes less than before."""
    found = []
    if old.get_internal_type() != new.get_internal_type():
        found.append(f"{name}: another type")
    if old.null and not new.null:
        found.append(f"{name}: NOT NULL")
    if (new.unique and not old.unique) or old.db_column != new.db_column:
        found.append(f"{name}: unique or renamed")
    if new.max_length is not None and (old.max_length is None or new.max_length < old.max_length):
        found.append(f"{name}: shorter")
    return found


def test_migrations_since_the_last_release_only_add(tmp_path: Path) -> None:
    had = released(tmp_path)
    loader = MigrationLoader(None)
    ours = {app for app, _name in loader.disk_migrations if app in {each for each, _ in had}}
    nodes = [node for node in had if node in loader.graph.nodes]
    state = loader.project_state(nodes)
    old = {key: set(model.fields) for key, model in state.models.items()}
    found = []
    order: list[tuple[str, str]] = []
    for leaf in loader.graph.leaf_nodes():
        order += [node for node in loader.graph.forwards_plan(leaf) if node not in order]
    for app, name in order:
        if (app, name) in had:
            continue
        migration = loader.disk_migrations[app, name]
        for operation in migration.operations:
            if app in ours and migration.__module__.startswith("tongchou."):
                found += [f"{app}.{name} {fault}" for fault in faults(operation, old, state, app)]
            operation.state_forwards(app, state)
    assert found == []


@pytest.mark.parametrize(
    "operation",
    [
        migrations.RemoveField("job", "name"),
        migrations.RenameField("job", "name", "title"),
        migrations.AddField("job", "size", models.IntegerField(default=0)),
        migrations.AlterField("job", "name", models.CharField(max_length=10)),
        migrations.AlterField("job", "lease_until", models.DateTimeField()),
        migrations.AlterField("job", "name", models.IntegerField()),
        migrations.DeleteModel("Job"),
        migrations.AddConstraint("job", models.UniqueConstraint(fields=["name"], name="x")),
    ],
    ids=lambda each: each.describe(),
)
def test_the_walk_finds_each_kind_of_break(operation: Operation) -> None:
    state = MigrationLoader(None).project_state(("core", "0001_initial"))
    assert faults(operation, {("core", "job"): {"name", "lease_until"}}, state, "core")
    fine = migrations.AddField("job", "size", models.IntegerField(db_default=0))
    assert faults(fine, {("core", "job"): {"name"}}, state, "core") == []
    assert faults(operation, {}, state, "core") == [], "a table the old release does not know is free"


@pytest.mark.parametrize(
    ("condition", "free"),
    [(None, False), (models.Q(state="running"), False), (~models.Q(lock=""), True), (~models.Q(name=""), False),
     (models.Q(models.Q(state="running"), ~models.Q(lock="")), True)],
)  # fmt: skip
def test_a_constraint_over_a_new_column_spares_its_default_or_is_a_break(
    condition: models.Q | None, free: bool
) -> None:
    constraint = models.UniqueConstraint(fields=["lock"], name="x", condition=condition)
    operation = migrations.AddConstraint("job", constraint)
    state = MigrationLoader(None).project_state(("core", "0001_initial"))
    assert (faults(operation, {("core", "job"): {"name", "state"}}, state, "core") == []) == free


def code_of(version: str) -> bytes | None:
    """The tree of a release as a tar; None where the clone does not have it."""
    for name in (f"v{version}", RELEASES[version]):
        done = subprocess.run(["git", "archive", name], cwd=ROOT, capture_output=True, timeout=60)
        if done.returncode == 0:
            return done.stdout
    return None


@pytest.mark.slice
def test_the_previous_release_runs_on_the_new_schema(tmp_path: Path) -> None:
    code = code_of(NEWEST)
    if code is None:
        pytest.skip(f"the commit of release {NEWEST} is not in this clone (a shallow clone?)")
    old = tmp_path / "old"
    with tarfile.open(fileobj=io.BytesIO(code)) as tar:
        tar.extractall(old, filter="data")
    data, expected = unpack(NEWEST, tmp_path)
    command(data, "migrate")
    served = Served(data, prefix=["env", f"--chdir={old}"], PYTHONPATH=str(old), **LONG).start()
    try:
        assert httpx.get(f"{served.url}/healthz", timeout=60).json()["version"] == expected["version"], (
            "it is really the old code"
        )
        with httpx.Client(base_url=served.url, follow_redirects=True, timeout=60) as browser:
            page = browser.get("/accounts/login/").text
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
            assert token
            body = {"login": "admin", "password": expected["password"], "csrfmiddlewaretoken": token.group(1)}
            browser.post("/accounts/login/", data=body, headers={"Referer": served.url})
            for path in (
                "/", "/incidents", f"/incidents/{expected['incident']['number']}", "/alerts", "/alerts/rules",
                "/alerts/channels", "/alerts/silences", "/slos", "/runs", f"/runs/{expected['run']}", "/procedures",
                "/resources", "/map", "/approvals", "/deployments", "/explore", "/logs",
                "/events", "/people", "/settings", "/account",
            ):  # fmt: skip
                answer = browser.get(path)
                assert answer.status_code == 200, path
                assert "/accounts/login" not in str(answer.url), path
        with served.client() as client:
            assert client.post("/api/v1/users", json={"username": "late", "role": "viewer"}).status_code == 201
            assert client.post("/api/v1/resources", json={"kind": "service", "name": "late"}).status_code == 201
            wish = {"name": "late", "scopes": ["read"], "expires_in_days": 1}
            assert client.post("/api/v1/tokens", json=wish).status_code == 201
            setting = {"value": False}
            assert client.put("/api/v1/settings/execution.enabled", json=setting).status_code == 200
            assert client.get("/api/v1/ledger/verify").json()["findings"] == []
    finally:
        served.stop()

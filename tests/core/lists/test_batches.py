"""Many rows at once and imports: shown before, done through the actions, put back; nothing of others is touched."""

from __future__ import annotations

import io
import itertools
import json
import re
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import openpyxl
import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import make_user
from tests.web.foreign import member_of
from tongchou.core import jobs, people, upkeep
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.lists import batches, conditions, imports, places, reading
from tongchou.core.lists.changes import change_of
from tongchou.core.lists.export import export
from tongchou.core.lists.tables import table
from tongchou.core.models import Event, Job, Membership, Role
from tongchou.core.models_lists import Batch, BatchRow
from tongchou.core.problems import Invalid, NotFound, Problem, TooLarge
from tongchou.inventory import actions
from tongchou.inventory.models import Resource

pytestmark = pytest.mark.both_databases
SYSTEM = system("tests")
KIND = "inventory.resource"
OF = table(KIND)


@pytest.fixture
def operator(db: None) -> Actor:
    return actor_for_user(make_user("operator", Role.OPERATOR))


def wanted(**filters: str) -> conditions.Wanted:
    return conditions.read(OF, {name.replace("__", "."): [value] for name, value in filters.items()})


def plan(actor: Actor, change: str, form: dict[str, str], /, **filters: str) -> Batch:
    return batches.plan(
        actor=actor, of=OF, change=change_of(KIND, change), wanted=wanted(**filters), ids=None, form=form
    )


def state_of(row: Resource) -> tuple[Any, ...]:
    row.refresh_from_db()
    return row.kind, row.name, row.owner_id, dict(row.labels), row.state


def some(count: int, **more: Any) -> list[Resource]:
    return [actions.create_resource(actor=SYSTEM, kind="host", name=f"web-{n}", **more) for n in range(count)]


def read(text: str, name: str = "r.csv") -> reading.Sheet:
    return reading.read(name, text.encode())


def run_import(actor: Actor, text: str) -> Batch:
    batch = imports.dry_run(actor=actor, kind=KIND, sheet=read(text), file_name="r.csv")
    return batches.start(actor=actor, batch=batch)


def test_a_change_is_shown_done_and_put_back_under_one_correlation_id(operator: Actor) -> None:
    rows = some(3, labels={"env": "test", "old": "x"})
    batch = plan(operator, "labels", {"add": "env=prod", "remove": "old"}, name="web")
    assert state_of(rows[0])[3] == {"env": "test", "old": "x"}
    first = batch.rows.get(number=1)
    assert (first.before, first.after) == ({"env": "test", "old": "x"}, {"env": "prod"})
    batches.start(actor=operator, batch=batch)
    assert {state_of(row)[3]["env"] for row in rows} == {"prod"}
    changed = Event.objects.filter(verb="resource.changed", correlation_id=str(batch.pk))
    assert changed.count() == 3
    assert set(changed.values_list("actor_name", flat=True)) == {"operator"}
    actions.update_resource(actor=SYSTEM, resource=rows[1], labels={"env": "mine"})
    batch.refresh_from_db()
    batches.undo(actor=operator, batch=batch)
    assert state_of(rows[0])[3] == {"env": "test", "old": "x"}
    assert state_of(rows[1])[3] == {"env": "mine"}
    assert sorted(batch.rows.values_list("result", flat=True)) == ["kept", "undone", "undone"]
    assert batch.rows.get(result="kept").error["value"] == "{'env': 'mine'}"


def test_rows_of_another_team_are_refused_with_the_reason(db: None) -> None:
    ours, theirs = (people.create_team(actor=SYSTEM, name=name) for name in ("ours", "theirs"))
    actions.create_resource(actor=SYSTEM, kind="host", name="web-a", owner=ours)
    actions.create_resource(actor=SYSTEM, kind="host", name="web-b", owner=theirs)
    seeing = make_user("seeing", Role.VIEWER)
    Membership.objects.create(user=seeing, role=Role.OPERATOR, team=ours)
    actor = actor_for_user(seeing)
    batch = plan(actor, "labels", {"add": "env=prod"})
    assert list(batch.rows.order_by("number").values_list("plan", flat=True)) == ["change", "refused"]
    assert "inventory.edit" in batch.rows.get(number=2).error["detail"]
    batches.start(actor=actor, batch=batch)
    assert Resource.objects.get(name="web-b").labels == {}
    with pytest.raises(NotFound):
        batches.get(actor_for_user(member_of(theirs, Role.OPERATOR)), batch.pk)


def test_access_is_that_of_the_moment_it_is_done(operator: Actor) -> None:
    some(2)
    batch = plan(operator, "retire", {})
    batch.user.memberships.all().delete()
    batches.start(actor=operator, batch=batch)
    assert set(batch.rows.values_list("result", flat=True)) == {"failed"}
    assert Resource.objects.filter(state="active").count() == 2


def test_more_than_fifty_rows_are_a_job_that_goes_on_where_it_stopped(operator: Actor) -> None:
    rows = some(60)
    batch = batches.start(actor=operator, batch=plan(operator, "labels", {"add": "env=prod"}))
    assert batch.state == "queued"
    # a worker that died in the middle: one row written, its result not
    actions.update_resource(actor=SYSTEM, resource=rows[0], labels={"env": "prod"})
    job = Job.objects.get(name=batches.JOB)
    jobs.run_one(job)
    batch.refresh_from_db()
    assert (batch.state, batch.done) == ("done", 60)
    assert set(batch.rows.values_list("result", flat=True)) == {"done"}


class Killed(BaseException):
    """What ends a process: nothing catches it."""


def killed_at(monkeypatch: pytest.MonkeyPatch, what: object, name: str, *, call: int) -> Callable[[], None]:
    """Let the process die in the `call`-th call; returns what brings it back: a worker that finds what was left."""
    real, calls = getattr(what, name), itertools.count(1)

    def dying(*given: Any, **more: Any) -> Any:
        if next(calls) == call:
            raise Killed
        return real(*given, **more)

    monkeypatch.setattr(what, name, dying)

    def go_on() -> None:
        monkeypatch.setattr(what, name, real)
        assert jobs.recover_orphans() == 0, "the request may still be at it"
        Job.objects.filter(name=batches.JOB, state="running").update(lease_until=timezone.now() - timedelta(seconds=1))
        jobs.recover_orphans()
        jobs.run_due()

    return go_on


@pytest.mark.parametrize(
    ("what", "name", "call"),
    [(batches, "work", 1), (batches, "_do_row", 3), (BatchRow, "save", 3), (batches, "_tell_end", 1)],
)
def test_a_small_change_that_is_cut_off_is_gone_on_with(
    operator: Actor, monkeypatch: pytest.MonkeyPatch, what: object, name: str, call: int
) -> None:
    rows = some(5)
    batch = plan(operator, "labels", {"add": "env=prod"})
    go_on = killed_at(monkeypatch, what, name, call=call)
    with pytest.raises(Killed):
        batches.start(actor=operator, batch=batch)
    go_on()
    batch.refresh_from_db()
    assert (batch.state, batch.done) == ("done", 5)
    assert [state_of(row)[3] for row in rows] == [{"env": "prod"}] * 5
    assert Event.objects.filter(verb="list.changed").count() == 1
    assert Event.objects.filter(verb="resource.changed").count() == 5
    batches.undo(actor=operator, batch=batch)
    assert {state_of(row)[3].get("env") for row in rows} == {None}


@pytest.mark.parametrize(("what", "name"), [(batches, "_undo_row"), (BatchRow, "save")])
def test_a_way_back_that_is_cut_off_is_gone_to_its_end(
    operator: Actor, monkeypatch: pytest.MonkeyPatch, what: object, name: str
) -> None:
    rows = some(5)
    batch = batches.start(actor=operator, batch=plan(operator, "labels", {"add": "env=prod"}))
    go_on = killed_at(monkeypatch, what, name, call=3)
    with pytest.raises(Killed):
        batches.undo(actor=operator, batch=batch)
    go_on()
    batch.refresh_from_db()
    assert batch.state == "undone"
    assert set(batch.rows.values_list("result", flat=True)) == {"undone"}
    assert [state_of(row)[3] for row in rows] == [{}] * 5


def test_an_import_that_is_cut_off_makes_each_row_once(operator: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "kind,name\n" + "".join(f"host,new-{n}\n" for n in range(4))
    batch = imports.dry_run(actor=operator, kind=KIND, sheet=read(text), file_name="r.csv")
    go_on = killed_at(monkeypatch, batches, "_do_row", call=3)
    with pytest.raises(Killed):
        batches.start(actor=operator, batch=batch)
    go_on()
    assert list(batch.rows.values_list("result", flat=True)) == ["done"] * 4
    assert Resource.objects.filter(name__startswith="new-").count() == 4


def test_two_at_once_do_no_row_twice(operator: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    some(3)
    batch = plan(operator, "labels", {"add": "env=prod"})
    real, inside = batches._do_row, [False]

    def with_another(actor: Actor, of: Batch, row: BatchRow) -> None:
        real(actor, of, row)
        if row.number == 1 and not inside[0]:
            inside[0] = True
            batches.work(batch.pk)

    monkeypatch.setattr(batches, "_do_row", with_another)
    batches.start(actor=operator, batch=batch)
    assert Event.objects.filter(verb="resource.changed").count() == 3
    assert Event.objects.filter(verb="list.changed").count() == 1


def test_what_was_left_without_a_job_gets_one(operator: Actor) -> None:
    some(3)
    batch = plan(operator, "labels", {"add": "env=prod"})
    Batch.objects.filter(pk=batch.pk).update(state="running")
    upkeep.tidy()
    upkeep.tidy()
    assert Job.objects.filter(name=batches.JOB).count() == 1
    jobs.run_due()
    upkeep.tidy()
    batch.refresh_from_db()
    assert batch.state == "done"
    assert Job.objects.filter(name=batches.JOB).count() == 1


def test_a_thousand_rows_are_the_most(operator: Actor) -> None:
    Resource.objects.bulk_create([Resource(kind="host", name=f"h{n}", source="t") for n in range(batches.MAX_ROWS + 1)])
    with pytest.raises(Invalid, match=r"batch.count"):
        plan(operator, "retire", {})
    with pytest.raises(Invalid):
        plan(operator, "retire", {}, name="nothing")


# --- import -----------------------------------------------------------------------------------------------------------


def test_a_file_is_planned_done_and_undone(operator: Actor) -> None:
    people.create_team(actor=SYSTEM, name="shop")
    [old] = some(1, labels={"env": "test"})
    before = state_of(old)
    text = "kind,name,owner,label,junk\nhost,web-0,shop,env=prod,1\nhost,new,,,2\nhost,,shop,,3\nhost,bad,nobody,,4\n"
    batch = imports.dry_run(actor=operator, kind=KIND, sheet=read(text), file_name="r.csv")
    assert list(batch.rows.order_by("number").values_list("number", "plan")) == [
        (2, "change"),
        (3, "create"),
        (4, "refused"),
        (5, "refused"),
    ]
    assert batch.values["ignored"] == ["junk"]
    errors = {row.number: row.error for row in batch.rows.filter(plan="refused")}
    assert (errors[5]["field"], errors[5]["value"]) == ("owner", "nobody")
    assert errors[4]["field"] == "name"
    assert Resource.objects.count() == 1
    batches.start(actor=operator, batch=batch)
    assert state_of(old)[3] == {"env": "prod"}
    assert Resource.objects.get(name="new").state == "active"
    again = imports.dry_run(actor=operator, kind=KIND, sheet=read(text), file_name="r.csv")
    assert again.total == 0
    batch.refresh_from_db()
    batches.undo(actor=operator, batch=batch)
    assert state_of(old) == before
    assert Resource.objects.get(name="new").state == "tombstone"


def test_what_was_changed_since_is_left_by_the_undo(operator: Actor) -> None:
    batch = run_import(operator, "kind,name,label\nhost,a,env=x\nhost,b,env=x\n")
    actions.update_resource(actor=SYSTEM, resource=Resource.objects.get(name="a"), labels={"env": "y"})
    batches.undo(actor=operator, batch=batch)
    assert dict(batch.rows.values_list("label", "result")) == {"host a": "kept", "host b": "undone"}
    assert Resource.objects.get(name="a").state == "active"


def test_relations_come_with_the_file(operator: Actor) -> None:
    run_import(operator, "kind,name\nhost,web-1\n")
    batch = run_import(operator, "kind,name,relations\nservice,shop,runs_on host/web-1\nservice,x,runs_on host/none\n")
    assert batch.rows.get(plan="refused").error["field"] == "relations"
    shop = Resource.objects.get(name="shop")
    assert shop.relations_out.get(valid_to=None).to_resource.name == "web-1"
    batch = run_import(operator, "kind,name,relations\nservice,shop,runs_on host/web-1\n")
    assert batch.total == 0


def test_two_rows_about_one_thing_are_refused_and_a_viewer_imports_nothing(operator: Actor) -> None:
    batch = imports.dry_run(actor=operator, kind=KIND, sheet=read("kind,name\nhost,a\nhost,a\n"), file_name="r")
    assert list(batch.rows.order_by("number").values_list("plan", flat=True)) == ["create", "refused"]
    viewer = actor_for_user(make_user("viewer", Role.VIEWER))
    with pytest.raises(Problem, match=r"access.denied"):
        imports.dry_run(actor=viewer, kind=KIND, sheet=read("kind,name\nhost,b\n"), file_name="r")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_is_read_as_people_save_it(encoding: str, delimiter: str) -> None:
    text = f"kind{delimiter}name\nhost{delimiter}订单库\n"
    sheet = reading.read("x.csv", text.encode(encoding))
    assert sheet.columns == ["kind", "name"]
    assert sheet.rows == [(2, ["host", "订单库"])]


def workbook(rows: list[list[Any]]) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


def calculated(rows: list[list[Any]], result: bytes) -> bytes:
    """A workbook whose formulas have been calculated, as a spreadsheet saves it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(rows))) as book, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as saved:
        for each in book.infolist():
            saved.writestr(each, re.sub(rb"</f><v[^>]*>(</v>)?", b"</f><v>" + result + b"</v>", book.read(each)))
    return out.getvalue()


def test_the_encoding_may_be_stated_and_then_has_to_be_true() -> None:
    text = "kind,name\nhost,é\n".encode("gb18030")
    assert (
        reading.read("x.csv", text, "gbk").rows == reading.read("x.csv", text, "GB18030").rows == [(2, ["host", "é"])]
    )
    with pytest.raises(Invalid, match=r"import.encoding"):
        reading.read("x.csv", text, "utf-8")
    with pytest.raises(Invalid, match=r"import.encoding_name"):
        reading.read("x.csv", text, "klingon")


def test_formulas_are_read_as_what_they_showed_and_never_as_nothing() -> None:
    with pytest.raises(Invalid, match=r"import.formula") as refused:
        reading.read("x.xlsx", workbook([["kind", "name"], ["host", '=CONCAT("a","b")'], ["host", "=1+1"]]))
    assert refused.value.value == "B2, B3"
    assert reading.read("x.xlsx", calculated([["kind", "name"], ["host", "=1+1"]], b"2")).rows == [(2, ["host", "2"])]
    prefixed, plain = io.BytesIO(), io.BytesIO(workbook([["kind", "name"], ["host", "=1+1"]]))
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(prefixed, "w") as new:
        for each in old.namelist():
            text = old.read(each)
            if each.startswith("xl/worksheets/"):
                text = re.sub(rb"<(/?)(\w)", rb"<\1x:\2", text).replace(b"xmlns=", b"xmlns:x=")
            new.writestr(each, text)
    with pytest.raises(Invalid, match=r"import.formula"):
        reading.read("x.xlsx", prefixed.getvalue())
    # what our own export guarded comes back as it was, and is text for good
    assert reading.read("x.csv", b"kind,name\nhost,'=HYPERLINK(1)\n").rows == [(2, ["host", "=HYPERLINK(1)"])]


def test_xlsx_and_json_are_read_and_limits_hold() -> None:
    assert reading.read("x.xlsx", workbook([["kind", "name", "n"], ["host", "a", 5], [None, None, None]])).rows == [
        (2, ["host", "a", "5"])
    ]
    assert reading.read("x.json", json.dumps([{"kind": "host", "label": {"a": "b"}}]).encode()).rows == [
        (1, ["host", '{"a": "b"}'])
    ]
    for name, content in (("x.xlsx", b"PK no"), ("x.json", b"{}"), ("x.csv", b"\xff\xfe\x00"), ("x.csv", b"a,a\n1,2")):
        with pytest.raises(Invalid):
            reading.read(name, content)
    for text in ('[{"kind": "host", "name": "a\\u0000"}]', '[{"kind": "\\ud800"}]', '[{"\\udfff": "a"}]'):
        with pytest.raises(Invalid, match=r"import.text"):
            reading.read("x.json", text.encode())
    with pytest.raises(Problem, match=r"import.format"):
        reading.read("x.exe", b"")
    with pytest.raises(TooLarge):
        reading.read("x.csv", b"kind\n" + b"a\n" * (reading.MAX_ROWS + 1))
    with pytest.raises(TooLarge, match=r"import.bomb"):
        reading.read("x.xlsx", workbook([["a" * 30_000] * 50] * 40))


# --- properties -------------------------------------------------------------------------------------------------------

LABELS = st.dictionaries(
    st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z"),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12),
    max_size=3,
)
NAMES = st.from_regex(r"\A[-=+@a-z0-9一-龥]{1,10}\Z")
MADE = st.dictionaries(st.tuples(st.sampled_from(["host", "database"]), NAMES), LABELS, min_size=1, max_size=6)
FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def clean() -> None:
    Resource.objects.all().delete()


def make(made: dict[tuple[str, str], dict[str, str]]) -> None:
    for (kind, name), labels in made.items():
        actions.create_resource(actor=SYSTEM, kind=kind, name=name, labels=labels)


@given(MADE, st.sampled_from(["csv", "xlsx", "json"]))
@FEW
def test_what_was_exported_is_imported_without_a_change(operator: Actor, made: Any, format_: str) -> None:
    clean()
    make(made)
    columns = [each for each in OF.columns if each.name in ("id", "kind", "name", "owner", "label")]
    file = export(actor=operator, table=OF, wanted=wanted(), columns=columns, format_=format_)
    with file.body as body:
        sheet = reading.read(f"x.{format_}", body.read())
    batch = imports.dry_run(actor=operator, kind=KIND, sheet=sheet, file_name="x")
    assert list(batch.rows.exclude(plan="unchanged")) == []
    assert batch.rows.count() == len(made)


@given(MADE, MADE)
@FEW
def test_an_import_undone_gives_back_what_was_there(operator: Actor, there: Any, file: Any) -> None:
    clean()
    make(there)
    before = {row.pk: state_of(row) for row in Resource.objects.all()}
    rows = [{"kind": kind, "name": name, "label": labels} for (kind, name), labels in file.items()]
    sheet = reading.read("x.json", json.dumps(rows).encode())
    batch = imports.dry_run(actor=operator, kind=KIND, sheet=sheet, file_name="x.json")
    batch = batches.start(actor=operator, batch=batch)
    assert not BatchRow.objects.filter(batch=batch, result="failed").exists()
    assert batches.may_undo(batch) == bool(batch.total)
    if batch.total:
        batches.undo(actor=operator, batch=batch)
    assert {row.pk: state_of(row) for row in Resource.objects.filter(state="active")} == before


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["host", "database"]), st.sampled_from("abc"), st.sampled_from(["active", "tombstone"])
        ),
        max_size=25,
    ),
    st.sampled_from(["name", "-name", "kind", "-kind", "created", "-created"]),
    st.integers(1, 7),
    st.sampled_from([{}, {"kind": "host"}, {"name": "a"}, {"state": "all"}]),
)
@FEW
def test_pages_one_after_the_other_are_the_sorted_whole(
    operator: Actor, made: Any, sort: str, size: int, filters: dict[str, str]
) -> None:
    clean()
    Resource.objects.bulk_create(
        [Resource(kind=kind, name=name, state=state, source="t") for kind, name, state in made]
    )
    asked = wanted(sort=sort, **filters)
    whole = [row.pk for row in places.fitting(OF, operator, asked)]
    seen: list[Any] = []
    after = ""
    for _page in range(30):
        shown = places.page(OF, operator, asked, after_text=after, size=size)
        seen += [row.pk for row in shown.rows]
        after = shown.after
        if not after:
            break
    assert seen == whole
    column = sort.removeprefix("-")
    values = [getattr(Resource.objects.get(pk=pk), {"created": "created_at"}.get(column, column)) for pk in whole]
    assert values == sorted(values, reverse=sort.startswith("-"))

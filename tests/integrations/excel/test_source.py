from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from tests.integrations import laws
from tongchou.core import settings_store
from tongchou.core.models import Team
from tongchou.core.problems import Invalid, Problem
from tongchou.integrations.excel.source import SOURCE
from tongchou.inventory import documents, sources
from tongchou.inventory.documents import Document
from tongchou.inventory.models import Resource
from tongchou.inventory.ports import DocumentSource

ROWS = [
    ["主机名", "类别", "资产编号", "序列号", "内存", "归属", "环境", "所在机柜", "CPU"],
    ["db-1", "服务器", "A-001", "SGH123XYZ", "64 GB", "shop", "prod", "R01", 32],
    ["web-1", "虚拟机", "A-002", "", "8 GB", "", "prod", "db-1；R01", 4],
    ["R01", "机柜", "A-003", "", "", "", "", "", None],
]
MAPPING: dict[str, Any] = {
    "name_column": "主机名",
    "kind_column": "类别",
    "kinds": {"服务器": "host", "虚拟机": "vm", "机柜": "rack"},
    "owner_column": "归属",
    "keys": {"序列号": "serial", "资产编号": "own"},
    "attributes": {"内存": "memory", "CPU": "cpu_count"},
    "labels": {"环境": "env"},
    "relations": {"所在机柜": "runs_on"},
}


def workbook(rows: list[list[Any]]) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def csv(rows: list[list[Any]], encoding: str = "utf-8-sig") -> bytes:
    return "\r\n".join(",".join("" if cell is None else str(cell) for cell in row) for row in rows).encode(encoding)


FORMS = [
    pytest.param(Document("cmdb.xlsx", workbook(ROWS)), id="xlsx"),
    pytest.param(Document("cmdb.csv", csv(ROWS)), id="csv"),
    pytest.param(Document("cmdb.csv", csv(ROWS, "gb18030")), id="gb18030"),
]


def read(document: Document, **more: Any) -> Any:
    return SOURCE.read(SOURCE.validate({**MAPPING, **more}), document, source="cmdb")


def test_it_is_a_source_that_reads_files() -> None:
    assert isinstance(SOURCE, DocumentSource)


@pytest.mark.parametrize("document", FORMS)
def test_rows_become_things_by_the_mapping(document: Document) -> None:
    seen = read(document)
    things = laws.by_name(seen)
    assert sorted(things) == [("host", "db-1"), ("rack", "R01"), ("vm", "web-1")]
    host = things["host", "db-1"]
    assert host.keys == ("serial:sgh123xyz", "excel:cmdb:资产编号:A-001")
    assert host.attributes == {"memory": "64 GB", "cpu_count": 32}
    assert (host.labels, host.owner) == ({"env": "prod"}, "shop")
    assert things["vm", "web-1"].keys == ("excel:cmdb:资产编号:A-002",)
    assert {each.ends[0] for each in seen.relations} == {
        ("serial:sgh123xyz", "name:R01"),
        ("excel:cmdb:资产编号:A-002", "name:db-1"),
        ("excel:cmdb:资产编号:A-002", "name:R01"),
    }
    assert seen.complete


def test_the_order_of_rows_says_nothing() -> None:
    upside_down = [ROWS[0], *reversed(ROWS[1:])]
    assert laws.same(read(Document("a.csv", csv(upside_down))), read(Document("a.csv", csv(ROWS))))


@pytest.mark.parametrize(
    "row, why",
    [
        (["", "服务器", "A-9"], "row 5: left out, it has no name"),
        (["x", "!?", "A-9"], "row 5: left out, it has no kind"),
        (["x", "服务器", "A-001"], "row 5: left out, it is known by the same keys as row 2"),
    ],
)
def test_a_row_that_cannot_be_taken_is_told_of_and_then_absence_proves_nothing(row: list[str], why: str) -> None:
    seen = read(Document("a.xlsx", workbook([*ROWS, row])))
    assert len(seen.resources) == 3
    assert (seen.complete, seen.warnings) == (False, (why,))


def test_a_sheet_without_keys_is_known_by_kind_and_name() -> None:
    (one,) = SOURCE.read(SOURCE.validate({}), Document("a.csv", b"name\nbox"), source="s").resources
    assert (one.kind, one.name, one.keys) == ("host", "box", ("excel:s:host:box",))


@pytest.mark.parametrize(
    "more, field",
    [
        ({"attributes": {"Speed": "speed"}}, "settings.attributes.Speed"),
        ({"name_column": "who"}, "settings.name_column"),
        ({"owner_column": "boss"}, "settings.owner_column"),
    ],
)
def test_a_column_that_is_not_there_is_named(more: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read(Document("a.csv", csv(ROWS)), **more)
    assert refusal.value.field == field
    assert "主机名" in str(refusal.value.remedy)


@pytest.mark.parametrize(
    "settings, field",
    [
        ({"keys": {"a": "dna"}}, "settings.keys.a"),
        ({"keys": ["a"]}, "settings.keys"),
        ({"keys": {"a": 1}}, "settings.keys.a"),
        ({"kind": "Bad Kind"}, "settings.kind"),
        ({"kinds": {"x": "服务器"}}, "settings.kinds.x"),
        ({"relations": {"a": "loves"}}, "settings.relations.a"),
        ({"attributes": {"a": "内存"}}, "settings.attributes.内存"),
        ({"labels": {"a": "b c"}}, "settings.labels.b c"),
        ({"sheet": 2}, "settings.sheet"),
    ],
)
def test_wrong_settings_are_refused_by_field(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        SOURCE.validate(settings)
    assert refusal.value.field == field


@pytest.mark.parametrize("name, body", [("a.pdf", b"%PDF"), ("a.xlsx", b"PK"), ("a.csv", b""), ("a.csv", b"a,a\n1,2")])
def test_what_is_no_sheet_is_refused(name: str, body: bytes) -> None:
    with pytest.raises(Problem):
        SOURCE.read(SOURCE.validate({}), Document(name, body), source="s")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_example_of_the_guide_is_a_legal_mapping(language: str) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / language / "sources.md").read_text()
    example = re.search(r"## \S+ `excel`.*?```json\n(.*?)```", page, re.DOTALL)
    assert example is not None
    assert SOURCE.validate(json.loads(example.group(1)))["relations"]


@pytest.mark.django_db
def test_a_sheet_in_a_folder_settles_and_what_leaves_it_is_given_up(tmp_path: Path) -> None:
    Team.objects.create(name="shop")
    path = tmp_path / "cmdb.xlsx"
    path.write_bytes(workbook(ROWS))
    settings_store.put(actor=laws.ACTOR, key=documents.FOLDERS, value=[str(tmp_path)])
    config = laws.configured("excel", {**MAPPING, "path": str(path)})
    assert not sources.waits(config)
    plan = laws.settles(config)
    assert (len(plan.created), len(plan.relations_added)) == (3, 3)
    assert laws.recorded_edges() == {
        ("db-1", "runs_on", "R01"),
        ("web-1", "runs_on", "db-1"),
        ("web-1", "runs_on", "R01"),
    }
    assert str(Resource.objects.get(name="db-1").owner) == "shop"
    path.write_bytes(workbook(ROWS[:2]))
    assert len(sources.run_source(actor=laws.ACTOR, source=config).gone) == 2

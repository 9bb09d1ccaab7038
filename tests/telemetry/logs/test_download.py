from __future__ import annotations

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st

from tongchou.telemetry.logs.download import BOM, COLUMNS, as_csv, ndjson, time_of
from tongchou.telemetry.store.log_tables import StoredLine

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
cells = texts | st.builds(
    lambda first, rest: first + rest, st.sampled_from(list("=+-@\t\r\n＝＋－＠")), texts
)  # full-width
lines = st.lists(
    st.builds(
        StoredLine,
        st.integers(0, 2**62),
        st.integers(1, 2**62),
        st.just(1),
        cells,
        cells,
        cells,
        st.dictionaries(texts, cells, max_size=2),
        st.dictionaries(texts, cells, max_size=2),
        cells,
        st.just(0),
    ),
    max_size=5,
)


def test_times_keep_their_nanoseconds():
    assert time_of(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456789Z"


@given(lines)
def test_no_cell_is_a_formula_and_nothing_else_is_changed(rows):
    text = as_csv(rows, head=True).decode()
    assert text.startswith(BOM)
    head, *found = csv.reader(io.StringIO(text.removeprefix(BOM), newline=""))
    assert tuple(head) == COLUMNS
    assert len(found) == len(rows)
    for cell_row, row in zip(found, rows, strict=True):
        assert not any(cell[:1] in "=+-@\t\r\n＝＋－＠" for cell in cell_row if cell)  # full-width
        body = cell_row[-1]
        assert row.body in (body, body.removeprefix("'"))
        assert json.loads(cell_row[4]) == row.labels


@given(lines)
def test_each_line_of_ndjson_is_the_line(rows):
    found = [json.loads(each) for each in ndjson(rows).decode().split("\n")[:-1]]
    assert [(each["body"], each["labels"], each["fields"], int(each["ts_ns"])) for each in found] == [
        (row.body, row.labels, row.fields, row.ts_ns) for row in rows
    ]

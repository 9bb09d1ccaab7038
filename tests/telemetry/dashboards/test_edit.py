"""Changes keep a definition one that can be read, and touch nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.dashboards.drawn import PROPERTY, definitions
from tongchou.core.problems import NotFound
from tongchou.telemetry.dashboards import edit
from tongchou.telemetry.dashboards.definition import Definition, Panel, Row, parse
from tongchou.telemetry.dashboards.layout import Place


def ids(found: Definition) -> list[int]:
    return sorted(each.id for each in found.panels())


def whole(found: Definition) -> None:
    assert parse(found.as_json()) == found


@PROPERTY
@given(definitions(), st.data())
def test_panels_come_and_go(found: Definition, data: st.DataObject) -> None:
    added = edit.with_panel(found, Panel(found.next_id(), title="new"))
    whole(added)
    assert ids(added) == sorted([*ids(found), found.next_id()])
    assert edit.with_panel(added, Panel(found.next_id(), "stat", "new")).panel(found.next_id()).kind == "stat"  # type: ignore[union-attr]
    chosen = data.draw(st.sampled_from(ids(added)))
    copied = edit.doubled(added, chosen)
    whole(copied)
    assert len(ids(copied)) == len(ids(added)) + 1
    gone = edit.without_panel(copied, chosen)
    whole(gone)
    assert ids(gone) == [each for each in ids(copied) if each != chosen]
    with pytest.raises(NotFound):
        edit.without_panel(gone, chosen)


@PROPERTY
@given(definitions(), st.integers(-3, 60), st.integers(-3, 60), st.integers(-3, 60), st.data())
def test_panels_move_within_and_between_rows(found: Definition, x: int, y: int, w: int, data: st.DataObject) -> None:
    if not ids(found):
        return
    chosen = data.draw(st.sampled_from(ids(found)))
    row = data.draw(st.integers(0, len(found.rows) - 1))
    moved = edit.rearranged(found, {chosen: (row, Place(x, y, w, 4))})
    whole(moved)
    assert ids(moved) == ids(found)
    assert edit.row_of(moved, chosen) == row
    with pytest.raises(NotFound):
        edit.rearranged(found, {chosen: (len(found.rows), Place(x, y, w, 4))})


@PROPERTY
@given(definitions(), st.data())
def test_rows_come_and_go_and_lose_no_panel(found: Definition, data: st.DataObject) -> None:
    grown = edit.with_new_row(found, "more")
    whole(grown)
    at = data.draw(st.integers(0, len(grown.rows) - 1))
    named = edit.named_row(grown, at, "named", collapsed=True)
    assert (named.rows[at].title, named.rows[at].collapsed) == ("named", True)
    shifted = edit.moved_row(named, at, data.draw(st.sampled_from((-1, 1))))
    assert sorted(row.title for row in shifted.rows) == sorted(row.title for row in named.rows)
    less = edit.without_row(shifted, at)
    whole(less)
    if len(shifted.rows) > 1:
        assert ids(less) == ids(found)
    with pytest.raises(NotFound):
        edit.named_row(less, len(less.rows), "x", collapsed=False)


def test_a_new_panel_stands_beside_the_last_one_or_below_all() -> None:
    first = edit.with_panel(Definition(), Panel(1, w=12, h=5))
    second = edit.with_panel(first, Panel(2, w=12, h=8))
    third = edit.with_panel(second, Panel(3, w=12, h=8))
    assert [(each.x, each.y) for each in third.rows[0].panels] == [(0, 0), (12, 0), (0, 5)]
    assert edit.with_panel(Definition(rows=(Row("a"), Row("b"))), Panel(1), row=0).rows[0].panels[0].id == 1

"""The service map: what is on it, where it stands, how it is coloured; pure, on graphs of any shape."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.inventory import actions
from tongchou.inventory.graph import Edge, Graph, Node
from tongchou.inventory.health import Status
from tongchou.web import design


def graph_of(count: int, pairs: list[tuple[int, int]], type_: str = "calls") -> tuple[Graph, list[UUID]]:
    ids = [uuid4() for _ in range(count)]
    nodes = [Node(id_, "service", f"s{n}") for n, id_ in enumerate(ids)]
    return Graph(nodes, [Edge(ids[a], ids[b], type_) for a, b in pairs if a != b]), ids


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40))
def test_boxes_never_overlap_and_stay_inside_whatever_the_calls(pairs: list[tuple[int, int]]) -> None:
    graph, _ids = graph_of(12, pairs)
    nodes, hidden = design.choose(graph, everything=False, most=100)
    drawing = design.draw(graph, {}, nodes, design.SERVICE_RELATIONS)
    assert hidden == 0
    assert len(drawing.boxes) == 12
    places = [(box.x, box.y) for box in drawing.boxes]
    for x, y in places:
        assert 0 <= x <= drawing.width - design.BOX_WIDTH
        assert 0 <= y <= drawing.height - design.BOX_HEIGHT
    for i, (x, y) in enumerate(places):
        for u, v in places[i + 1 :]:
            assert abs(x - u) >= design.BOX_WIDTH or abs(y - v) >= design.BOX_HEIGHT


def test_callers_stand_left_of_what_they_call_and_a_failing_one_heats_its_line() -> None:
    graph, (a, b, c) = graph_of(3, [(0, 1), (1, 2)])
    statuses: dict[UUID, Status] = {a: "affected", b: "affected", c: "down"}
    nodes, _hidden = design.choose(graph, everything=False, most=10)
    drawing = design.draw(graph, statuses, nodes, design.SERVICE_RELATIONS)
    x = {box.id: box.x for box in drawing.boxes}
    assert x[a] < x[b] < x[c]
    assert sorted(line.hot for line in drawing.lines) == [False, True]
    assert {box.tone for box in drawing.boxes} == {"warning", "critical"}


def test_parts_are_pips_on_their_service_the_worst_first() -> None:
    graph, ids = graph_of(8, [(n, 0) for n in range(1, 8)], "part_of")
    statuses: dict[UUID, Status] = dict.fromkeys(ids, "ok")
    statuses[ids[6]] = "down"
    nodes, _hidden = design.choose(graph, everything=False, most=10)
    drawing = design.draw(graph, statuses, nodes, design.SERVICE_RELATIONS)
    assert [box.name for box in drawing.boxes] == ["s0"]
    pips = drawing.boxes[0].pips
    assert len(pips) == design.MAX_PIPS
    assert (pips[0].name, pips[0].tone) == ("s6", "critical")


def test_a_large_inventory_keeps_what_has_relations_and_counts_the_rest() -> None:
    graph, ids = graph_of(500, [(0, 1), (1, 2)])
    nodes, hidden = design.choose(graph, everything=False, most=50)
    assert {ids[0], ids[1], ids[2]} <= {node.id for node in nodes}
    assert (len(nodes), hidden) == (50, 450)


def test_every_status_has_a_shape_of_its_own() -> None:
    assert set(design.TONES.values()) == set(design.GLYPHS)
    assert len(set(design.GLYPHS.values())) == len(design.GLYPHS)


def test_the_map_page_links_every_box_and_says_its_status_in_words(browser: Any) -> None:
    shop = actions.create_resource(actor=system("tests"), kind="service", name="shop")
    store = actions.create_resource(actor=system("tests"), kind="service", name="store")
    actions.relate(actor=system("tests"), from_resource=shop, to_resource=store, type="calls")
    client = browser(Role.VIEWER)
    text = client.get("/map").content.decode()
    assert f'href="/resources/{shop.pk}"' in text
    assert "shop calls store" in text
    assert "Unknown" in text
    assert b"<html" not in client.get("/map?part=live").content
    assert client.get("/map?show=all").status_code == 200

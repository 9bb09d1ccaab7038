"""Pages of a list: the same rows and counts whether few fit or many; what another table holds is found."""

from __future__ import annotations

import pytest

from tongchou.core.access import system
from tongchou.core.lists import conditions, places
from tongchou.core.lists.tables import table
from tongchou.inventory import actions
from tongchou.runbooks import actions as runbooks
from tongchou.runbooks.models import Run

SYSTEM = system("tests")
NAMES = [f"web-{number}" for number in range(7)]


@pytest.fixture
def hosts(db: None) -> None:
    for name in [*NAMES, "orders", "cart"]:
        actions.create_resource(actor=SYSTEM, kind="host", name=name)


def pages(query: dict[str, str], size: int = 3) -> tuple[list[str], set[int]]:
    """Every name of the list, page after page, and the counts the pages told."""
    of = table("inventory.resource")
    wanted = conditions.read(of, {key: [value] for key, value in query.items()})
    found: list[str] = []
    counts, after = set(), ""
    while True:
        shown = places.page(of, SYSTEM, wanted, after_text=after, size=size)
        found += [row.name for row in shown.rows]
        counts.add(shown.count)
        after = shown.after
        if not after:
            return found, counts


@pytest.mark.parametrize("few", [500, 7, 6, 0])
@pytest.mark.parametrize("query", [{"q": "WEB"}, {"name": "web"}, {"q": "web", "sort": "-name"}])
def test_the_pages_are_the_same_whether_few_fit_or_many(
    hosts: None, monkeypatch: pytest.MonkeyPatch, few: int, query: dict[str, str]
) -> None:
    monkeypatch.setattr(places, "FEW", few)
    expected = sorted(NAMES, reverse="sort" in query)
    assert pages(query) == (expected, {7})


def test_of_nothing_there_is_an_empty_page(hosts: None) -> None:
    assert pages({"q": "nowhere"}) == ([], {0})


def test_a_search_finds_what_another_table_holds(db: None) -> None:
    text = "name: {0}\ntitle: {{en: Look, zh: 看}}\ngrade: read\nsteps: [{{name: a, read: {{query: up}}}}]\n"
    for name in ("restart-orders", "look-around"):
        row = runbooks.put_procedure(actor=SYSTEM, name=name, text=text.format(name))
        Run.objects.create(
            procedure=row, version=row.versions.get(), grade="read", content_hash="", requested_by_name="tests"
        )
    of = table("runbooks.run")
    shown = places.page(of, SYSTEM, conditions.read(of, {"q": ["ORDERS"]}), after_text="", size=10)
    assert [each.procedure.name for each in shown.rows] == ["restart-orders"]

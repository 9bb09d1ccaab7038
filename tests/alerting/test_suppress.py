"""What is not told and why: silences, inhibition, dependants of what is down. Decisions without a database."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tongchou.alerting.matchers import matches, parse
from tongchou.alerting.suppress import (
    AlertView,
    InhibitRule,
    SilenceView,
    Suppression,
    explained,
    inhibited,
    silenced,
    suppressions,
)

T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ORDERS, CATALOGUE, DATABASE, STOREFRONT = (UUID(int=n) for n in range(1, 5))


def alert(number: int, group: int | None = None, **kwargs: object) -> AlertView:
    labels = kwargs.pop("labels", {"alertname": "A", "n": str(number)})
    return AlertView(UUID(int=100 + number), UUID(int=1000 + (number if group is None else group)), labels, **kwargs)  # type: ignore[arg-type]  # a test's shorthand


def decide(
    alerts: list[AlertView],
    needs: dict[UUID, set[UUID]],
    down: set[UUID] = frozenset(),  # type: ignore[assignment]  # never changed
    silences: list[SilenceView] | None = None,
) -> dict[UUID, Suppression]:
    started = {each.group: T0 + dt.timedelta(seconds=n) for n, each in enumerate(alerts)}
    return suppressions(
        alerts, silences=silences or [], rules=[], down=down, needs=lambda r: needs.get(r, set()), started=started
    )


labels = st.dictionaries(st.sampled_from(["service", "severity", "host"]), st.sampled_from(["a", "b", "c"]))
texts = st.sampled_from(['service="a"', 'service=~"a|b"', 'severity!="b", host="a"', 'host!~"a|", service!=""'])


@given(st.lists(labels, max_size=8), st.lists(texts, max_size=4))
def test_an_alert_is_silenced_by_exactly_the_silences_that_match_it(found: list[dict[str, str]], by: list[str]) -> None:
    alerts = [alert(n, labels=each) for n, each in enumerate(found)]
    silences = [SilenceView(UUID(int=n), tuple(parse(text))) for n, text in enumerate(by)]
    result = silenced(alerts, silences)
    for each in alerts:
        assert result.get(each.id, ()) == tuple(s.id for s in silences if matches(s.matchers, each.labels))


@given(st.lists(labels, max_size=8), texts, texts, st.sets(st.sampled_from(["service", "host"])))
def test_inhibition_is_alertmanagers(found: list[dict[str, str]], source: str, target: str, equal: set[str]) -> None:
    alerts = [alert(n, labels=each) for n, each in enumerate(found)]
    rule = InhibitRule(tuple(parse(source)), tuple(parse(target)), tuple(sorted(equal)))
    result = inhibited(alerts, [rule])
    for one in alerts:
        both = matches(rule.source, one.labels) and matches(rule.target, one.labels)
        sources = {
            other.id
            for other in alerts
            if other is not one
            and matches(rule.source, other.labels)
            and all(other.labels.get(name, "") == one.labels.get(name, "") for name in equal)
            and not (both and matches(rule.target, other.labels))
        }
        wanted = sources if matches(rule.target, one.labels) else set()
        assert bool(result.get(one.id)) == bool(wanted)
        assert set(result.get(one.id, ())) <= wanted


def test_a_silenced_alert_still_inhibits() -> None:
    one, two = alert(1, labels={"severity": "critical"}), alert(2, labels={"severity": "warning"})
    rule = InhibitRule(tuple(parse('severity="critical"')), tuple(parse('severity="warning"')))
    silence = SilenceView(UUID(int=7), tuple(parse('severity="critical"')))
    found = suppressions(
        [one, two],
        silences=[silence],
        rules=[rule],
        down=(),
        needs=lambda _r: (),
        started={one.group: T0, two.group: T0},
    )
    assert found[two.id] == Suppression("inhibited", (one.id,))
    assert found[one.id] == Suppression("silenced", (silence.id,))


def test_a_dependant_of_what_is_down_is_explained_one_hop_at_a_time() -> None:
    database = alert(1, critical=True, resources=frozenset([DATABASE]))
    orders = alert(2, critical=True, resources=frozenset([ORDERS]))
    storefront = alert(3, resources=frozenset([STOREFRONT]))
    needs = {ORDERS: {DATABASE}, STOREFRONT: {ORDERS}}
    found = decide([database, orders, storefront], needs)
    assert database.id not in found
    # Both are named the group that is told, not the one in between.
    assert found[orders.id] == found[storefront.id] == Suppression("explained", (database.group,))


def test_a_warning_about_what_answers_explains_nothing_and_one_about_what_does_not_answer_does() -> None:
    database = alert(1, resources=frozenset([DATABASE]))
    orders = alert(2, resources=frozenset([ORDERS]))
    assert decide([database, orders], {ORDERS: {DATABASE}}) == {}
    assert orders.id in decide([database, orders], {ORDERS: {DATABASE}}, down={DATABASE})


def test_what_is_down_without_an_alert_explains_nothing_as_nobody_would_be_told() -> None:
    orders = alert(2, resources=frozenset([ORDERS]))
    assert decide([orders], {ORDERS: {DATABASE}}, down={DATABASE}) == {}


def test_the_monitoring_itself_is_never_explained_away() -> None:
    database = alert(1, critical=True, resources=frozenset([DATABASE]))
    own = alert(2, resources=frozenset([ORDERS]), own=True)
    assert own.id not in decide([database, own], {ORDERS: {DATABASE}})


def test_an_alert_about_the_resource_that_is_down_is_not_its_own_dependant() -> None:
    # An alert of an instance is about the instance and its service, and the service needs the instance.
    one = alert(1, group=1, critical=True, resources=frozenset([ORDERS, CATALOGUE]))
    two = alert(2, group=2, critical=True, resources=frozenset([ORDERS, CATALOGUE]))
    assert decide([one, two], {ORDERS: {CATALOGUE}}, down={CATALOGUE}) == {}


def test_of_a_circle_the_first_is_told() -> None:
    one = alert(1, critical=True, resources=frozenset([ORDERS]))
    two = alert(2, critical=True, resources=frozenset([CATALOGUE]))
    found = decide([one, two], {ORDERS: {CATALOGUE}, CATALOGUE: {ORDERS}})
    assert found == {two.id: Suppression("explained", (one.group,))}


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.booleans(), st.sets(st.integers(0, 5), max_size=2)), min_size=1, max_size=10
    ),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12),
    st.sets(st.integers(0, 5)),
    st.sets(st.integers(0, 9), max_size=3),
)
def test_what_is_explained_is_explained_by_a_group_that_is_told_or_silenced(
    given_: list[tuple[int, bool, set[int]]], edges: list[tuple[int, int]], down: set[int], quiet: set[int]
) -> None:
    alerts = [
        alert(n, group=group, critical=critical, resources=frozenset(UUID(int=r) for r in about))
        for n, (group, critical, about) in enumerate(given_)
    ]
    needs: dict[UUID, set[UUID]] = {}
    for a, b in edges:
        needs.setdefault(UUID(int=a), set()).add(UUID(int=b))
    silences = [SilenceView(UUID(int=n), tuple(parse(f'n="{n}"'))) for n in quiet]
    found = decide(alerts, needs, {UUID(int=n) for n in down}, silences)
    heard = {each.group for each in alerts if each.id not in found}
    wholly_silenced = {each.group for each in alerts} - {
        each.group for each in alerts if found.get(each.id, Suppression("", ())).kind != "silenced"
    }
    for each in alerts:
        why = found.get(each.id)
        if why is not None and why.kind == "explained":
            assert why.by
            assert set(why.by) <= heard | wholly_silenced
            assert each.group not in why.by
    # While somebody did not ask for silence, somebody is told.
    if any(found.get(each.id, Suppression("", ())).kind != "silenced" for each in alerts):
        assert heard or wholly_silenced


def test_explained_without_candidates_is_empty() -> None:
    assert explained([alert(1)], {}, set(), {UUID(int=1001): T0}) == {}

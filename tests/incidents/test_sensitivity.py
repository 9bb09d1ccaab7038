"""Which reasons decide a place in the ranking."""

from hypothesis import given
from hypothesis import strategies as st

from tongchou.incidents.sensitivity import orders

suspect = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=3), st.floats(-40, 40).map(lambda x: round(x, 1))), max_size=6
)
rankings = st.lists(suspect, min_size=1, max_size=6).map(
    lambda rows: sorted(((round(sum(p for _c, p in row), 1), row) for row in rows), key=lambda pair: -pair[0])
)


@given(rankings)
def test_without_a_decisive_reason_the_next_would_be_ahead(ranked: list[tuple[float, list[tuple[str, float]]]]) -> None:
    for place, order in enumerate(orders(ranked)):
        score, reasons = ranked[place]
        for code, points in reasons:
            if code in order.decisive and place + 1 < len(ranked):
                assert any(score - p < ranked[place + 1][0] for c, p in reasons if c == code)
            if place + 1 < len(ranked) and score - points < ranked[place + 1][0] - 0.11:
                assert code in order.decisive


@given(rankings)
def test_without_what_is_held_against_it_a_suspect_would_lead(
    ranked: list[tuple[float, list[tuple[str, float]]]],
) -> None:
    first = ranked[0][0]
    for place, order in enumerate(orders(ranked)):
        score, reasons = ranked[place]
        assert order.behind == round(first - score, 1)
        for code in order.against:
            assert any(c == code and score - points > first - 0.11 for c, points in reasons)


def test_the_last_leads_nobody() -> None:
    (only,) = orders([(10.0, [("a", 10.0)])])
    assert (only.lead, only.decisive, only.behind, only.against) == (None, (), 0.0, ())

"""Matchers as the text of a selector: read back they are the same matchers, whatever stands in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.prometheus_backend.export import selector
from tongchou.telemetry.promql.parse import Selector, parse
from tongchou.telemetry.series import METRIC_NAME, Matcher

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8)
NAMES = TEXT | st.sampled_from(("job", "a.b", 'a="x"} or {b', "a\\", "a\nb"))


@given(NAMES, st.sampled_from(("=", "!=")), TEXT)
def test_a_name_and_a_value_stay_what_they_are(name: str, op: str, value: str) -> None:
    wanted = (Matcher(name, op, value), Matcher(METRIC_NAME, "=", "up"))  # type: ignore[arg-type]
    tree = parse(selector(wanted))
    assert isinstance(tree, Selector)
    assert tree.matcher_sets == (wanted,)


@pytest.mark.parametrize("matchers", [(), (Matcher("a", "!=", "b"),)])
def test_a_selector_of_everything_has_a_condition_that_servers_take(matchers: tuple[Matcher, ...]) -> None:
    assert '__name__!=""' in selector(matchers)

"""What may be set about observations, and what may not."""

from __future__ import annotations

from typing import Any

import pytest

from tongchou.changes import observed_reading
from tongchou.core import settings_store
from tongchou.core.access import system
from tongchou.core.problems import Invalid

pytestmark = pytest.mark.django_db
TESTS = system("tests")


@pytest.mark.parametrize(
    "key, value",
    [
        ("changes.observed_attributes", ["host"]),
        ("changes.observed_attributes", [7]),
        ("changes.observed_attributes", ["a.b"] * 201),
        ("changes.observed_most", 0),
        ("changes.observed_most", 1001),
        ("changes.observed_facts", "yes"),
    ],
)
def test_what_will_not_do_is_refused(key: str, value: Any) -> None:
    with pytest.raises(Invalid):
        settings_store.put(actor=TESTS, key=key, value=value)


def test_all_is_on_but_the_ports_that_anybody_gets() -> None:
    found = observed_reading.wanted()
    assert (found.facts, found.listeners, found.schemas, found.high_ports) == (True, True, True, False)
    settings_store.put(actor=TESTS, key="changes.observed_attributes", value=["host.x", "-*.kernel"])
    assert observed_reading.wanted().attributes == ("host.x", "-*.kernel")

"""What is a fact of configuration, and when two values of it are the same."""

from __future__ import annotations

from itertools import permutations

import pytest

from tongchou.changes.observed_facts import COUNTED, counts, same, text, wrong
from tongchou.inventory.kinds import KINDS


def test_what_changes_all_the_time_is_no_fact() -> None:
    assert counts("host", "kernel")
    for kind, name in (("host", "uptime"), ("container", "run_state"), ("vm", "power_state"), ("pod", "phase"),
                       ("disk", "smart_power_on_hours"), ("storage_pool", "used_bytes"), ("x", "kernel")):  # fmt: skip
        assert not counts(kind, name)
    assert KINDS.keys() >= COUNTED.keys()


def test_a_setting_adds_and_takes_away_the_last_that_fits_decides() -> None:
    assert counts("host", "selinux", ["host.selinux"])
    assert counts("pod", "phase", ["*.phase"])
    assert not counts("host", "kernel", ["-host.*"])
    assert counts("host", "kernel", ["-host.*", "host.kernel"])
    assert [each for each in ("host", "host.", ".x", "ho st.x", "-", "x" * 201) if not wrong(each)] == []
    assert not wrong("-*.kernel")


@pytest.mark.parametrize("order", list(permutations(["10.0.0.2", "10.0.0.1", "fe80::1"])))
def test_the_order_of_a_list_is_no_modification(order: tuple[str, ...]) -> None:
    assert text(list(order)) == "10.0.0.1, 10.0.0.2"


def test_values_are_written_in_one_way_and_bounded() -> None:
    assert (text(None), text(8), text("a"), text({"b": 1, "a": True})) == ("", "8", "a", '{"a": true, "b": 1}')
    assert len(text("x" * 100_000)) <= 4_000


def test_a_size_of_memory_may_differ_by_what_a_kernel_keeps() -> None:
    assert same("memory_bytes", "16700000000", "16690000000")
    assert not same("memory_bytes", "16700000000", "33400000000")
    assert not same("cpu_count", "100", "101")
    assert not same("memory_bytes", "16700000000", "")

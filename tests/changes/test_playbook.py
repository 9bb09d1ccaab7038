"""Batches of a project: each host once, in order, none empty; when a batch counts as failed; the hash of a check."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.changes import playbook
from tongchou.changes.playbook_ports import Difference, HostResult

SIZES = st.lists(st.one_of(st.integers(1, 30), st.integers(1, 100).map(lambda n: f"{n}%")), min_size=1, max_size=5)


@settings(max_examples=80)
@given(st.integers(0, 60), SIZES)
def test_every_host_is_in_one_batch_in_order(count: int, sizes: list[int | str]) -> None:
    names = [f"h{number}" for number in range(count)]
    batches = playbook.batches_of(names, sizes)
    assert [name for batch in batches for name in batch] == names
    assert all(batches)
    if batches:
        first = playbook.size_of(sizes[0], count)
        assert len(batches[0]) == min(first or 1, count)


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [([1, "10%", "100%"], [1, 2, 17]), ([5], [5, 5, 5, 5]), (["30%"], [6, 6, 6, 2]), ([1], [1] * 20)],
)
def test_sizes_are_numbers_or_percentages_and_the_last_is_repeated(sizes: list[int | str], lengths: list[int]) -> None:
    assert [len(each) for each in playbook.batches_of([str(n) for n in range(20)], sizes)] == lengths


@pytest.mark.parametrize("said", [0, -1, True, "0%", "101%", "10", "ten%", 1.5, None, 10_000])
def test_what_is_no_size(said: object) -> None:
    assert playbook.size_of(said, 10) is None


def test_a_batch_fails_when_more_than_the_allowed_part_failed() -> None:
    results = [HostResult("a", "failed"), HostResult("b", "unreachable"), HostResult("c", "ok")]
    assert playbook.failed_beyond(results, 10, 20) == []
    assert playbook.failed_beyond(results, 9, 20) == ["a", "b"]
    assert playbook.failed_beyond(results[2:], 1, 0) == []


def test_the_hash_covers_setup_and_what_was_shown() -> None:
    setup, shown = {"tree_sha256": "a"}, {"w-1": {"state": "changed", "diff": "+a", "counts": {}}}
    first = playbook.content_hash(setup, shown)
    assert first == playbook.content_hash(setup, {"w-1": {"state": "changed", "diff": "+a"}})
    assert first != playbook.content_hash({"tree_sha256": "b"}, shown)
    assert first != playbook.content_hash(setup, {"w-1": {"state": "changed", "diff": "+b"}})


def test_only_hosts_that_answered_drift() -> None:
    one = Difference("/etc/motd", "there", "wanted", "d")
    results = [HostResult("a", "changed", differences=[one]), HostResult("b", "unreachable", differences=[one])]
    (found,) = playbook.found(results, {"a": None, "b": None})
    assert (found.subject, found.path, found.expected, found.observed) == ("a", "/etc/motd", "wanted", "there")

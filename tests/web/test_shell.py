"""The menu: every page has a key of its own."""

from __future__ import annotations

from collections import Counter

from tongchou.web.shell import ADMIN, STAGES


def test_no_key_opens_two_pages() -> None:
    keys = Counter(entry.key for stage in (*STAGES, ADMIN) for entry in stage.entries)
    keys["g"] += 1  # the inbox
    assert [key for key, times in keys.items() if times > 1 or len(key) != 1] == []

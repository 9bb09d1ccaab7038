"""The Chinese catalogue is complete: every message translated, no fuzzy one, no placeholder lost or invented."""

from __future__ import annotations

import re
from collections import Counter

from babel.messages.catalog import Message

from tests.web.extraction import catalogue, messages

PERCENT = re.compile(r"%(?:\((\w+)\))?[#0\- +]*\d*(?:\.\d+)?([diouxXeEfFgGcrsa%])")
BRACES = re.compile(r"\{(\w*)\}")


def places(text: str) -> Counter[str]:
    found = Counter(f"%({name})" if name else "%" + kind for name, kind in PERCENT.findall(text) if kind != "%")
    found.update(BRACES.findall(text))
    return found


def test_every_message_is_translated() -> None:
    known = catalogue()
    missing = []
    for path, (context, message) in messages():
        msgid = message if isinstance(message, str) else message[0]
        entry = known.get(msgid, context=context)
        strings = [] if entry is None else [entry.string] if isinstance(entry.string, str) else list(entry.string)
        if not strings or not all(strings):
            missing.append(f"{path.name}: {msgid!r}")
    assert not missing, f"{len(missing)} untranslated, run python -m tests.web.extraction: {missing[:20]}"


def test_nothing_in_the_catalogue_is_fuzzy() -> None:
    assert [each.id for each in catalogue() if each.id and each.fuzzy] == []


def pairs() -> list[Message]:
    return [each for each in catalogue() if each.id]


def test_placeholders_survive_translation() -> None:
    broken = []
    for message in pairs():
        ids = message.id if isinstance(message.id, list | tuple) else [message.id]
        strings = message.string if isinstance(message.string, list | tuple) else [message.string]
        strings = [string for string in strings if string]  # an empty one is the first test's to find
        broken += [string for string in strings if set(places(string)) != set(places(ids[-1]))]
        broken += [string for string in strings if string.startswith("\n") != ids[0].startswith("\n")]
    assert broken == []


def test_a_changed_placeholder_would_be_found() -> None:
    assert places("%(name)s of {count} at %d") != places("%(nam)s of {count} at %d")
    assert places("100%% of %(n).0f s") == places("%(n)d")


def test_the_catalogue_speaks_chinese() -> None:
    """Guards against English copied over: what has Latin words and no Chinese character is a name or a unit."""
    copied = [
        str(each.id)
        for each in pairs()
        if isinstance(each.string, str) and each.string == each.id and re.search(r"[a-z]{3,} [a-z]{3,}", each.string)
    ]
    assert copied == []

"""Samples on their way in: order and repetition change nothing, and no sender takes more than its share."""

from __future__ import annotations

import itertools
import struct
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tongchou.core import tokens
from tongchou.core.access import actor_for_user, system
from tongchou.core.meters import families
from tongchou.core.models import User
from tongchou.core.problems import TooMany
from tongchou.core.settings_store import put
from tongchou.telemetry import sender_limits
from tongchou.telemetry.actions import append, write_request
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Matcher, SeriesBlock, labels_of
from tongchou.wire.remote_write import encode

DAY = 86_400_000
SENDER = system("tests")
numbers = itertools.count()
pytestmark = pytest.mark.django_db

# series, age in seconds (the window in memory is 70 minutes), value; few of each, so that they meet
SAMPLES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([0, 1, 60, 61, 4000, 4190, 4201, 4300, 90_000, 90_001, 5 * 86_400]),
        st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5]),
    ),
    min_size=1,
    max_size=25,
)


def read(telemetry, name, now, start=-30 * DAY):
    block = telemetry.select([Matcher("__name__", "=", name)], now + start, now + 1000, limits=Limits())
    return {
        dict(labels)["i"]: list(zip(block.samples(at)[0].tolist(), map(bits, block.samples(at)[1]), strict=True))
        for at, labels in enumerate(block.labels)
    }


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SAMPLES, st.data())
def test_any_order_and_repetition_gives_the_same_reads(telemetry_db, samples, data):
    now = telemetry_db.clock() // 1000 * 1000
    name = f"m{next(numbers)}"
    sent = [*samples, *data.draw(st.lists(st.sampled_from(samples), max_size=10))]
    order = data.draw(st.permutations(sent))
    at = 0
    while at < len(order):
        size = data.draw(st.integers(1, 8))
        part = order[at : at + size]
        at += size
        series = [([("__name__", name), ("i", str(i))], [(now - age * 1000, value)]) for i, age, value in part]
        write_request(encode(series), actor=SENDER).wait()
        if data.draw(st.booleans()):
            telemetry_db.flush()
    expected: dict = {}
    for i, age, value in samples:
        held = expected.setdefault(str(i), {})
        held[now - age * 1000] = max(held.get(now - age * 1000, 0), bits(value))
    whole = {i: sorted(held.items()) for i, held in expected.items()}
    recent = {i: [each for each in held if each[0] >= now - 62_000] for i, held in whole.items()}
    recent = {i: held for i, held in recent.items() if held}
    assert read(telemetry_db, name, now) == whole
    assert read(telemetry_db, name, now, -62_000) == recent
    telemetry_db.flush()
    assert read(telemetry_db, name, now) == whole


# --- shares of senders ---------------------------------------------------------------------------------------------
@pytest.fixture
def sender(operator_actor):
    """The actor of a new token, by its name."""

    def made(name):
        who = User.objects.get(pk=operator_actor.user_id)
        row, _token = tokens.create(actor=SENDER, user=who, name=name, scopes=["ingest"], expires_at=None)
        return actor_for_user(who, token=row)

    return made


def limit(**held):
    for key, value in held.items():
        put(actor=SENDER, key=f"metrics.source_max_{key}", value=value)
    sender_limits.forget()


def message(telemetry, *series, back=0):
    now = telemetry.clock() - back
    return encode([([("__name__", "m"), ("i", str(i))], [(now, 1.0)]) for i in series])


def block(telemetry, *series):
    return SeriesBlock.build([(labels_of({"__name__": "m", "i": str(i)}), [telemetry.clock()], [1.0]) for i in series])


def names(telemetry):
    return sorted(int(value) for value in telemetry.index.label_values("i"))


def test_a_sender_may_have_so_many_active_series_and_others_are_not_touched(telemetry_db, sender):
    limit(series=3)
    greedy, modest = sender("greedy"), sender("modest")
    taken = write_request(message(telemetry_db, 1, 2, 3, 4, 5), actor=greedy)
    assert (taken.samples, taken.refused.total) == (3, 2)
    assert "metrics.source_max_series" in str(taken.refused)
    assert names(telemetry_db) == [1, 2, 3]  # what is refused leaves no series behind
    again = write_request(message(telemetry_db, 1, 2, 3, back=-1), actor=greedy)
    assert (again.samples, again.refused.total) == (3, 0)
    assert write_request(message(telemetry_db, 6), actor=modest).refused.total == 0
    other = {each.name: each for each in telemetry_db.sources.all()}
    assert other["token greedy (operator)"].active == 3
    assert other["token greedy (operator)"].rejected_samples == 2
    (held,) = other["token greedy (operator)"].rejected.values()
    assert held.example == "{__name__='m', i='4'}"
    assert other["token modest (operator)"].rejected == {}
    told = next(each for each in families() if each.name == "tongchou_telemetry_rejected_samples_total")
    assert [value for _suffix, labels, value in told.samples if dict(labels)["source"] == "token greedy (operator)"]


def test_series_that_exist_count_when_they_are_taken_up_again(telemetry_db, sender):
    append(block(telemetry_db, 1, 2, 3, 4), actor=SENDER)
    limit(series=2)
    greedy = sender("greedy")
    taken = write_request(message(telemetry_db, 1, 2, 3, 4), actor=greedy)
    assert (taken.samples, taken.refused.total) == (2, 2)
    assert append(block(telemetry_db, 3, 9), actor=greedy).samples == 0
    assert append(block(telemetry_db, 1, 2), actor=greedy).samples == 2
    limit(series=0)
    assert write_request(message(telemetry_db, 3, 4, 9), actor=greedy).refused.total == 0


def test_a_sender_that_sends_too_fast_waits_and_nothing_of_the_message_is_taken(telemetry_db, sender):
    limit(samples_per_second=1)
    fast, slow = sender("fast"), sender("slow")
    assert write_request(message(telemetry_db, *range(60)), actor=fast).samples == 60
    with pytest.raises(TooMany, match="source_rate"):
        write_request(message(telemetry_db, 100, 101), actor=fast)
    assert 100 not in names(telemetry_db)
    assert write_request(message(telemetry_db, 200), actor=slow).samples == 1
    found = {each.name: each for each in telemetry_db.sources.all()}
    (held,) = found["token fast (operator)"].rejected.values()
    assert (held.samples, "samples_per_second" in held.reason) == (2, True)


def test_the_platform_itself_has_no_limit(telemetry_db):
    limit(series=1, samples_per_second=1)
    for _again in range(3):
        assert append(block(telemetry_db, *range(100)), actor=SENDER).samples == 100


def test_refused_times_are_told_with_a_series(telemetry_db, sender):
    body = encode([([("__name__", "m"), ("i", "7")], [(1, 1.0), (telemetry_db.clock() + DAY, 1.0)])])
    taken = write_request(body, actor=replace(sender("x"), token_id=uuid4()))
    assert "older than the retention of 3650 days (e.g. {__name__='m', i='7'})" in str(taken.refused)
    assert "in the future (e.g. {__name__='m', i='7'})" in str(taken.refused)
    assert taken.kept.tolist() == [False, False]

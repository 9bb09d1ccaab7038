"""Whatever a request holds, its points become series that are allowed, or are refused with a reason."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.otlp.points import number, translate
from tongchou.telemetry.admit import canonical
from tongchou.wire.otlp_metrics import Buckets, Group, Metric, Point

# halves of characters too: JSON can hold them
texts = st.text(max_size=6) | st.text(st.characters(categories=["Cs", "Lu", "Nd"]), max_size=3)
counts = st.integers(0, 2**64 - 1)
values = st.recursive(
    texts | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=3,
)
attributes = st.dictionaries(
    texts | st.sampled_from(["__name__", "le", "quantile", "job", "a.b", "a_b"]), values, max_size=3
)
buckets = st.builds(Buckets, st.integers(-(2**31), 2**31 - 1), st.lists(counts, max_size=4))
points = st.builds(
    Point,
    attributes,
    counts,
    counts,
    st.integers(0, 3),
    st.none() | st.floats(),
    counts,
    st.none() | st.floats(),
    st.lists(counts, max_size=3),
    st.lists(st.floats(), max_size=2),
    st.integers(-(2**31), 2**31 - 1) | st.integers(-10, 20),
    counts,
    st.floats(),
    buckets,
    buckets,
    st.lists(st.tuples(st.floats(), st.floats()), max_size=2),
)
kinds = st.sampled_from(["", "gauge", "sum", "histogram", "exponential", "summary"])
metrics = st.builds(
    Metric,
    texts | st.sampled_from(["a", "b.c"]),
    texts,
    texts | st.sampled_from(["s", "1", "By/s"]),
    kinds,
    st.integers(0, 3),
    st.booleans(),
    st.lists(points, max_size=3),
)
resources = st.dictionaries(
    texts | st.sampled_from(["service.name", "service.instance.id", "host.id"]), values, max_size=3
)
groups = st.lists(st.builds(Group, resources, texts, texts, attributes, st.lists(metrics, max_size=3)), max_size=2)


@given(groups, st.booleans())
def test_every_point_becomes_series_that_are_allowed_or_is_refused(sent, scope_labels):
    done = translate(sent, scope_labels=scope_labels)
    counted = sum(len(metric.points) for group in sent for metric in group.metrics if metric.kind)
    assert len(done.points) + done.refused.total == counted
    for made in (*done.points, *done.about):
        assert 0 <= made.time_ms < 2**63
        seen = set()
        for labels, value in made.series():
            assert canonical(labels) == labels
            assert isinstance(value, float)
            "".join(name + held for name, held in labels).encode()
            assert labels not in seen
            seen.add(labels)
        if made.buckets is not None and not any(map(math.isnan, made.buckets.values())):
            assert list(made.buckets) == sorted(made.buckets)
            assert list(made.buckets.values()) == sorted(made.buckets.values())
    assert all(len(reason) < 200 for reason in done.refused.counts)
    assert done.refused.total == 0 or str(done.refused).encode()


@given(st.floats(allow_nan=False))
def test_a_number_in_a_label_reads_back_and_has_no_exponent(value):
    text = number(value)
    assert float(text) == value
    assert "e" not in text.lower().replace("+inf", "").replace("-inf", "")


def test_numbers_in_labels_are_those_prometheus_writes():
    assert [number(each) for each in (0.005, 10.0, 1e21, 2.5e-7, 0.0)] == [
        "0.005",
        "10",
        "1000000000000000000000",
        "0.00000025",
        "0",
    ]


def test_an_absurd_scale_is_refused_whatever_its_flags_say():
    point = Point(time_ns=1_700_000_000_000_000_000, flags=1, count=1, scale=2**31 - 1, positive=Buckets(0, [1]))
    group = Group({}, "", "", {}, [Metric("x", "", "", "exponential", 2, False, [point])])
    done = translate([group], scope_labels=False)
    assert (len(done.points), done.refused.total) == (0, 1)

"""The same remote_write stream for every server: 2,000 series a scale, messages made by NumPy, a sample at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tongchou.wire.protobuf import varint
from tongchou.wire.remote_write import encode_labels

Labels = list[tuple[str, str]]
BUCKETS = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"]
COUNTER, BUCKET, GAUGE = range(3)


def all_labels(scale: int) -> tuple[list[Labels], np.typing.NDArray[np.int64]]:
    """2,000 series a scale, and the kind of each: counters by instance, path and code; a histogram; gauges."""
    hosts = [f"host-{i}" for i in range(50 * scale)]
    counters = [
        [("__name__", "http_requests_total"), ("job", "shop"), ("instance", h), ("path", p), ("code", c)]
        for h in hosts
        for p in ("/", "/cart", "/pay", "/search", "/item")
        for c in ("200", "302", "404", "500")
    ]
    buckets = [
        [("__name__", "http_request_duration_seconds_bucket"), ("job", "shop"), ("instance", h), ("le", le)]
        for h in hosts
        for le in BUCKETS
    ]
    gauges = [
        [("__name__", "node_memory_used_bytes"), ("job", f"node-{i % 3}"), ("instance", h), ("kind", str(i))]
        for h in hosts
        for i in range(8)
    ]
    kinds = np.repeat([COUNTER, BUCKET, GAUGE], [len(counters), len(buckets), len(gauges)])
    return counters + buckets + gauges, kinds


def values(kinds: np.typing.NDArray[np.int64], steps: int) -> np.typing.NDArray[np.float64]:
    """[series x steps]: counters that grow by 0 to 19, buckets that grow with their bound, gauges on a wave."""
    rng = np.random.default_rng(5)
    n = len(kinds)
    out = np.empty((n, steps))
    counters, buckets, gauges = (np.flatnonzero(kinds == kind) for kind in (COUNTER, BUCKET, GAUGE))
    out[counters] = np.cumsum(rng.integers(0, 20, (len(counters), steps)), axis=1)
    out[buckets] = np.cumsum(
        np.broadcast_to((5 + np.arange(len(buckets)) % 12)[:, None], (len(buckets), steps)), axis=1
    )
    wave = 4e8 + 2e8 * np.sin(np.arange(steps)[None, :] / 200 + np.arange(len(gauges))[:, None])
    out[gauges] = np.floor(wave + rng.integers(0, 10**6, wave.shape))
    return out


def sample_fields(ts_ms: np.typing.NDArray[np.int64], v: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.uint8]:
    """The Sample fields of every series, [series x 18 per sample]; times must be of this age (a varint of 6 bytes)."""
    n, count = v.shape
    out = np.empty((n, count, 18), np.uint8)
    out[:, :, 0], out[:, :, 1], out[:, :, 2], out[:, :, 11] = 0x12, 16, 0x09, 0x10
    out[:, :, 3:11] = np.ascontiguousarray(v, dtype="<f8").view(np.uint8).reshape(n, count, 8)
    times = np.array([list(varint(int(ts))) for ts in ts_ms], np.uint8)
    assert times.shape[1] == 6
    out[:, :, 12:18] = times[None]
    return out.reshape(n, count * 18)


def write_requests(
    labels: list[Labels], times_ms: np.typing.NDArray[np.int64], v: np.typing.NDArray[np.float64], *, per_request: int
) -> Iterator[bytes]:
    """WriteRequests of every series with `per_request` samples each, in order of time; at most 5,000 series each."""
    encoded = [encode_labels(each) for each in labels]
    for first in range(0, len(times_ms), per_request):
        part = slice(first, first + per_request)
        for low in range(0, len(labels), 5000):
            fields = sample_fields(times_ms[part], v[low : low + 5000, part])
            size = fields.shape[1]
            raw = fields.tobytes()
            pieces = []
            for at, pairs in enumerate(encoded[low : low + 5000]):
                pieces += [b"\x0a", varint(len(pairs) + size), pairs, raw[at * size : (at + 1) * size]]
            yield b"".join(pieces)

"""GET /prometheus/api/v1/status/tsdb: what the series are made of, in Prometheus's shape."""

from __future__ import annotations

import msgspec
from django.http import HttpRequest
from django.utils.translation import gettext as _

from tongchou.core.problems import BadRequest
from tongchou.integrations.prometheus import answer
from tongchou.integrations.prometheus.request import api, value_of
from tongchou.telemetry import cardinality

DEFAULT_LIMIT, MAX_LIMIT = 10, 10_000


@api
def tsdb(request: HttpRequest) -> bytes:
    """Count series and labels; `limit` is how many of each are listed (10). The head is the newest window in memory."""
    found = cardinality.measure(_limit(request))
    head = cardinality.head(found)
    return answer.success(
        msgspec.json.encode(
            {
                "headStats": {
                    "numSeries": head.series,
                    "numLabelPairs": head.label_pairs,
                    "chunkCount": head.chunks,
                    "minTime": head.min_ms,
                    "maxTime": head.max_ms,
                },
                "seriesCountByMetricName": _listed(found.metrics),
                "labelValueCountByLabelName": _listed(found.labels),
                "memoryInBytesByLabelName": _listed(found.memory),
                "seriesCountByLabelValuePair": _listed(found.pairs),
            }
        )
    )


def _listed(counts: cardinality.Counts) -> list[dict[str, str | int]]:
    return [{"name": name, "value": value} for name, value in counts]


def _limit(request: HttpRequest) -> int:
    text = value_of(request, "limit")
    if not text:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
        raise BadRequest(
            "telemetry.bad_parameter",
            _("limit must be a whole number from 1 to %(most)d") % {"most": MAX_LIMIT},
            field="limit",
            value=text,
        )
    return int(text)

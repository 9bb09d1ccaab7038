from __future__ import annotations

import pytest

from tongchou.core.access import system
from tongchou.inventory import actions
from tongchou.inventory.models_queues import QueueItem
from tongchou.telemetry.actions import append
from tongchou.telemetry.jobs import report_unrecorded
from tongchou.telemetry.series import SeriesBlock, labels_of

pytestmark = pytest.mark.django_db
ACTOR = system("tests")


def test_targets_in_the_metrics_that_no_resource_has_wait_in_a_queue(telemetry_db):
    now = telemetry_db.clock()
    for instance in ("known:9100", "stray:9100"):
        labels = {"__name__": "up", "job": "node", "instance": instance}
        append(SeriesBlock.build([(labels_of(labels), [now - 1000], [1.0])]), actor=ACTOR)
    host = actions.create_resource(actor=ACTOR, kind="host", name="known")
    known = {"job": "node", "instance": "known:9100"}
    actions.register_endpoint(actor=ACTOR, resource=host, url="http://known.example:9100/metrics", labels=known)
    report_unrecorded()
    assert list(QueueItem.objects.values_list("queue", "key")) == [("unrecorded", "node/stray:9100")]
    stray = {"job": "node", "instance": "stray:9100"}
    actions.register_endpoint(actor=ACTOR, resource=host, url="http://stray.example:9100/metrics", labels=stray)
    report_unrecorded()
    assert not QueueItem.objects.exists()

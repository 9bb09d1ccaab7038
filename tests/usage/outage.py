"""An incident with a price: history of three and a half shop days, an outage, its alerts, its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.incidents import scene
from tests.incidents.scene import Shop
from tests.usage.test_actions import METRIC
from tongchou.core import settings_store
from tongchou.core.access import Actor, system
from tongchou.incidents.models import Incident
from tongchou.telemetry.actions import append
from tongchou.telemetry.series import SeriesBlock, labels_of
from tongchou.usage.run_time_settings import REVENUE


def outage(admin: Actor) -> Incident:
    """An incident of five minutes that ended five minutes ago; a fifth of the revenue came in meanwhile."""
    now = datetime.fromtimestamp(int(datetime.now(UTC).timestamp()) // 60 * 60, UTC)
    settings_store.put(actor=admin, key=REVENUE, value=METRIC)
    end, total, values = now.timestamp(), 0.0, []
    times = [end - 3.5 * 3600 + 15 * at for at in range(int(3.5 * 240) + 1)]
    for at in times:
        total += 15 * (20.0 if -600 < at - end <= -300 else 100.0)
        values.append(total)
    row = (labels_of({"__name__": "revenue_cny_total"}), [int(at * 1000) for at in times], values)
    append(SeriesBlock.build([row]), actor=system("tests"))
    shop = Shop()
    scene.opened("ErrorRatioHigh", shop.orders_1, shop.orders, at=now - timedelta(minutes=10))
    scene.run_jobs()
    made = scene.only_incident()
    ended = {
        "state": "mitigated",
        "mitigated_at": now - timedelta(minutes=5),
        "recovered_at": now - timedelta(minutes=5),
    }
    Incident.objects.filter(pk=made.pk).update(started_at=now - timedelta(minutes=10), **ended)
    made.refresh_from_db()
    return made

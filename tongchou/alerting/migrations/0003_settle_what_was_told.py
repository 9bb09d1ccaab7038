"""Groups and alerts of before count as decided: told when their first notification was queued."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import F, Min


def settle(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Mark what exists, so that an upgrade tells nothing a second time."""
    group_model = apps.get_model("alerting", "AlertGroup")
    notification_model = apps.get_model("alerting", "Notification")
    group_model.objects.update(settled_at=F("opened_at"))
    rows = notification_model.objects.filter(status="firing").order_by().values("group").annotate(at=Min("created_at"))
    for row in rows:
        group_model.objects.filter(pk=row["group"]).update(told_at=row["at"], told_round=1)
    for group in group_model.objects.filter(state="open", told_at__isnull=False):
        apps.get_model("alerting", "Alert").objects.filter(group=group).update(told_at=group.told_at)


class Migration(migrations.Migration):
    """Data only."""

    dependencies = [("alerting", "0002_suppression")]  # noqa: RUF012 - Django's own form
    operations = [migrations.RunPython(settle, migrations.RunPython.noop)]  # noqa: RUF012 - Django's own form

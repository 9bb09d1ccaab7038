"""More names of addresses, and subnets of clouds, are in the index: the daily pass that fills it is due at once."""

from django.db import migrations


def due(apps, _schema_editor):
    apps.get_model("core", "Lease").objects.filter(name="periodic:inventory.derive_all").update(last_run_at=None)


class Migration(migrations.Migration):
    dependencies = [("core", "0012_actions_of_policies"), ("inventory", "0013_custom_said")]

    operations = [migrations.RunPython(due, migrations.RunPython.noop)]

"""Incidents in the order of their ends: who waits for a postmortem is found without sorting all."""

from django.db import migrations, models
from django.db.models.functions import Coalesce


class Migration(migrations.Migration):
    dependencies = [("incidents", "0006_custom_fields")]

    operations = [
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                Coalesce("mitigated_at", "resolved_at", "opened_at"), models.F("number"), name="incidents_by_end"
            ),
        ),
    ]

"""The newest groups of any state, without sorting all."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerting", "0008_newest_told")]

    operations = [
        migrations.AddIndex(
            model_name="alertgroup",
            index=models.Index(fields=["-opened_at", "id"], name="alerting_group_all_newest"),
        ),
    ]

"""A job may be for one node alone: what looks at the machine it runs on."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0013_consent_ends")]

    operations = [
        migrations.AddField("job", "node", models.CharField(blank=True, db_default="", default="", max_length=120))
    ]

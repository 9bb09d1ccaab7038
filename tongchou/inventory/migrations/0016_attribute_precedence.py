"""A source may weigh otherwise in single attributes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("inventory", "0015_absences")]

    operations = [
        migrations.AddField(
            model_name="sourceconfig",
            name="attribute_precedence",
            field=models.JSONField(blank=True, db_default={}, default=dict),
        ),
    ]

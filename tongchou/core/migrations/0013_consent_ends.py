"""Consent that was given may end before its time."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0012_actions_of_policies")]

    operations = [
        migrations.AlterField(
            model_name="approval",
            name="state",
            field=models.CharField(
                choices=[
                    ("pending", "Pending"),
                    ("approved", "Approved"),
                    ("rejected", "Rejected"),
                    ("cancelled", "Cancelled"),
                    ("expired", "Expired"),
                    ("ended", "Ended"),
                ],
                db_index=True,
                default="pending",
                max_length=10,
            ),
        )
    ]

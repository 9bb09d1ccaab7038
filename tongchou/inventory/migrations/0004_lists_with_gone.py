"""Sorting resources by kind and by first seen together with those that are gone."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0003_by_age"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="resource",
            index=models.Index(fields=["kind", "name", "id"], name="inventory_all_by_kind"),
        ),
        migrations.AddIndex(
            model_name="resource",
            index=models.Index(fields=["created_at", "id"], name="inventory_all_by_age"),
        ),
    ]

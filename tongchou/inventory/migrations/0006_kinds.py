"""Kinds and relation types that people define, and the attributes that count, on the resource itself."""

import django.utils.timezone
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0005_queues"),
    ]

    operations = [
        migrations.CreateModel(
            name="KindDefinition",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=64, unique=True)),
                ("label", models.JSONField(default=dict)),
                ("description", models.JSONField(blank=True, default=dict)),
                ("icon", models.CharField(default="shapes", max_length=64)),
                ("tier", models.PositiveSmallIntegerField(default=3)),
                ("group", models.CharField(default="other", max_length=64)),
                ("parent", models.CharField(blank=True, default="", max_length=64)),
                ("former", models.JSONField(blank=True, default=list)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("updated_by_name", models.CharField(max_length=150)),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="RelationDefinition",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=64, unique=True)),
                ("label", models.JSONField(default=dict)),
                ("reverse_label", models.JSONField(default=dict)),
                (
                    "needed",
                    models.CharField(
                        choices=[
                            ("from", "the first needs to work for the second"),
                            ("to", "the second needs to work for the first"),
                            ("none", "neither needs the other"),
                        ],
                        default="to",
                        max_length=4,
                    ),
                ),
                ("cardinality", models.CharField(default="many-to-many", max_length=20)),
                ("from_kinds", models.JSONField(blank=True, default=list)),
                ("to_kinds", models.JSONField(blank=True, default=list)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("updated_by_name", models.CharField(max_length=150)),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.AddField(
            model_name="resource",
            name="attributes",
            field=models.JSONField(blank=True, db_default={}, default=dict),
        ),
    ]

"""What a reason in spite of collisions is about: so far every one that was found before consent was asked for."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import migrations, models


def accept_those_known(apps: Any, _schema_editor: Any) -> None:
    """Keep what was accepted so far accepted."""
    rows = apps.get_model("changes", "Change").objects.exclude(conflicts_accepted="")
    for row in rows.only("conflicts").iterator():
        row.accepted_conflicts = [[each["kind"], each["ref"]] for each in row.conflicts]
        row.save(update_fields=["accepted_conflicts"])


class Migration(migrations.Migration):
    """Adds changes.accepted_conflicts."""

    dependencies: ClassVar = [("changes", "0015_covered_runs")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="change",
            name="accepted_conflicts",
            field=models.JSONField(blank=True, db_default=[], default=list),
        ),
        migrations.RunPython(accept_those_known, migrations.RunPython.noop),
    ]

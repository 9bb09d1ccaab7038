"""Policies made on the page named actions that consent was never asked for: they mean the ones that are."""

from django.db import migrations

MEANT = {
    "run": "runbooks.run",
    "improvement.without_check": "incidents.close_improvement",
    "improvement.drop": "incidents.drop_improvement",
}


def rename(apps, _schema_editor):
    policies = apps.get_model("core", "ApprovalPolicy")
    for old, new in MEANT.items():
        policies.objects.filter(action=old).update(action=new)


class Migration(migrations.Migration):
    dependencies = [("core", "0011_mail_due_since")]

    operations = [migrations.RunPython(rename, migrations.RunPython.noop)]

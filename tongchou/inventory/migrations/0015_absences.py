"""When resources were away that came back: rows of a new table, written from now on."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inventory', '0014_addresses_anew'),
    ]

    operations = [
        migrations.CreateModel(
            name='Absence',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('gone_at', models.DateTimeField()),
                ('came_at', models.DateTimeField()),
                ('resource', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='absences', to='inventory.resource')),
            ],
            options={
                'indexes': [models.Index(fields=['came_at', 'gone_at', 'resource'], name='inventory_absences')],
            },
        ),
    ]

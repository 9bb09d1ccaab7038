"""What agents told: one row a machine."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inventory', '0016_attribute_precedence'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AgentReport',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('machine', models.CharField(max_length=255)),
                ('twin', models.PositiveIntegerField(default=0)),
                ('name', models.CharField(max_length=128)),
                ('about', models.JSONField(default=dict)),
                ('macs', models.JSONField(default=list)),
                ('body', models.JSONField(default=dict)),
                ('kept', models.JSONField(default=dict)),
                ('run', models.CharField(max_length=64)),
                ('number', models.PositiveBigIntegerField(default=0)),
                ('reported_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('received_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('first_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('interval_seconds', models.FloatField(default=60.0)),
                ('agent_version', models.CharField(blank=True, default='', max_length=40)),
                ('sender_name', models.CharField(blank=True, default='', max_length=150)),
                ('sender', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(fields=['name', 'id'], name='inventory_agent_by_name'), models.Index(fields=['received_at'], name='inventory_agent_by_age')],
                'constraints': [models.UniqueConstraint(fields=('machine', 'twin'), name='inventory_one_agent')],
            },
        ),
    ]

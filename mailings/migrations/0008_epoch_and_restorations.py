"""The epoch, and what is known of copies that were put back. The one row is made here: each look reads it."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


def begin(apps, schema_editor):
    apps.get_model("mailings", "Epoch").objects.get_or_create(id=1)


class Migration(migrations.Migration):

    dependencies = [
        ("mailings", "0007_countries_and_codes_of_sending"),
        ('integrations', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Epoch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tick', models.BigIntegerField(default=0)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('held', models.BooleanField(default=False)),
                ('believed', models.BooleanField(default=False)),
                ('no_place_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='one_epoch')],
            },
        ),
        migrations.CreateModel(
            name='Restoration',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('found_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('why', models.CharField(choices=[('older', 'the database knows less than the file beside the keys'), ('no_file', 'the file beside the keys is missing'), ('command', 'manage.py restore'), ('said', 'somebody said so')], max_length=16)),
                ('copy_at', models.DateTimeField()),
                ('last_at', models.DateTimeField(blank=True, null=True)),
                ('seen_tick', models.BigIntegerField(default=0)),
                ('since', models.DateTimeField()),
                ('asked_at', models.DateTimeField(blank=True, null=True)),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='BooksSweep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('began_at', models.DateTimeField(blank=True, null=True)),
                ('cursor', models.TextField(blank=True)),
                ('rows', models.PositiveIntegerField(default=0)),
                ('known', models.PositiveIntegerField(default=0)),
                ('entered', models.PositiveIntegerField(default=0)),
                ('again_at', models.DateTimeField(blank=True, null=True)),
                ('trouble', models.CharField(blank=True, max_length=32)),
                ('done_at', models.DateTimeField(blank=True, null=True)),
                ('waived_at', models.DateTimeField(blank=True, null=True)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='integrations.account')),
                ('restoration', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='sweeps', to='mailings.restoration')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('restoration', 'account'), name='one_sweep_per_account')],
            },
        ),
        migrations.CreateModel(
            name='UnclaimedSms',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reference', models.CharField(blank=True, max_length=40)),
                ('provider_id', models.CharField(blank=True, max_length=64)),
                ('phone', models.CharField(max_length=16)),
                ('fingerprint', models.CharField(blank=True, max_length=32)),
                ('at', models.DateTimeField()),
                ('status', models.CharField(max_length=16)),
                ('reason', models.CharField(blank=True, max_length=32)),
                ('raw_code', models.CharField(blank=True, max_length=64)),
                ('price', models.DecimalField(blank=True, decimal_places=4, max_digits=10, null=True)),
                ('claimed_at', models.DateTimeField(blank=True, null=True)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='integrations.account')),
                ('mailing', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='mailings.mailing')),
                ('restoration', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='mailings.restoration')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('claimed_at__isnull', True)), fields=['phone'], name='unclaimed_phone')],
                'constraints': [models.UniqueConstraint(fields=('account', 'reference', 'provider_id', 'phone'), name='one_unclaimed_per_sms')],
            },
        ),
        migrations.RunPython(begin, migrations.RunPython.noop, elidable=False),
    ]

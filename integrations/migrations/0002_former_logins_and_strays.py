"""Adds former logins with open messages, strays, the clock's offset and the rate limit."""

import django.db.models.deletion
import smsmail.encryption
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("integrations", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name='account',
            name='clock_off',
            field=models.IntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='account',
            name='slow',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='account',
            name='slow_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name='FormerLogin',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('login', models.CharField(max_length=32)),
                ('credentials', smsmail.encryption.EncryptedJSONField(blank=True, default=dict)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='former_logins', to='integrations.account')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('account', 'login'), name='one_row_per_former_login')],
            },
        ),
        migrations.CreateModel(
            name='Stray',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('phone', models.CharField(max_length=16)),
                ('provider_id', models.CharField(blank=True, max_length=64)),
                ('at', models.DateTimeField()),
                ('account', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='integrations.account')),
            ],
            options={
                'indexes': [models.Index(fields=['phone'], name='stray_phone'), models.Index(fields=['at'], name='stray_age')],
            },
        ),
    ]

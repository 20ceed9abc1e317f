"""Drops the tables of django-axes, which used to count wrong passwords and stored whole IP addresses.
"""

from django.db import migrations

TABLES = ("accessattemptexpiration", "accessattempt", "accessfailurelog", "accesslog")


class Migration(migrations.Migration):
    dependencies = [
        ("smsmail", "0001_counts"),("smsmail", "0001_counts")]

    operations = [
        migrations.RunSQL(
            [
                *(f"DROP TABLE IF EXISTS axes_{table}" for table in TABLES),
                "DELETE FROM django_migrations WHERE app = 'axes'",
            ],
            migrations.RunSQL.noop,
        )
    ]

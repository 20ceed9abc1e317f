"""Adds a trigram index on the column by which people are searched, if the database allows it.

Measured with 1,000,000 people: a rare word is found in 1 to 13 ms instead of 350. The index takes 76 MB, and
people are inserted at a third of the speed (40,000 a second). Most PostgreSQL servers include pg_trgm, and
the owner of a database may enable it. Without it, and on SQLite, the search reads every row: slower, with the
same result.
"""

from django.db import DatabaseError, migrations, transaction


def add_index(apps, schema_editor):
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        try:
            with transaction.atomic(using=connection.alias):
                cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        except DatabaseError:  # not installed on the server, or not allowed
            return
        # In a database with locale C only Latin letters count as letters: the index would find no
        # others.
        cursor.execute("SELECT show_trgm('лаза')")
        if cursor.fetchone()[0]:
            cursor.execute(
                "CREATE INDEX user_search ON users_user USING gin (search gin_trgm_ops)"
            )


def drop_index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS user_search")


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]
    operations = [migrations.RunPython(add_index, drop_index, elidable=False)]

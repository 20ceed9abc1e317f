"""A mailing on entry that was asked back from the service was left cancelled and "not prepared": nobody
will ever come into it, so it is complete. Preparing it anew failed for ever, and held up all others.
"""

from django.db import migrations
from django.utils import timezone


def heal(apps, schema_editor):
    mailings = apps.get_model("mailings", "Mailing").objects.filter(kind="mailing", when="on_entry")
    mailings.filter(state="cancelled", launched_at__isnull=False, prepared_at__isnull=True).update(
        prepared_at=timezone.now()
    )


class Migration(migrations.Migration):
    dependencies = [
        ("mailings", "0009_when_a_lot_was_recalled"),
    ]

    operations = [migrations.RunPython(heal, migrations.RunPython.noop, elidable=True)]

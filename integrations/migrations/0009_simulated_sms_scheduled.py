"""The simulator's `kept` is named by what it says: the message was scheduled for a given time."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0008_receipt_inbox"),
    ]

    operations = [
        migrations.RenameField("simulatedsms", "kept", "scheduled"),
    ]

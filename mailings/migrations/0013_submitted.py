"""A message is submitted, and a batch is in flight while its worker has no answer yet."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("mailings", "0012_processed_clicks")]

    operations: ClassVar = [
        migrations.RenameField("message", "handed_at", "submitted_at"),
        migrations.RemoveIndex("batch", "batch_handing"),
        migrations.AlterField(
            model_name="batch",
            name="state",
            field=models.CharField(
                choices=[
                    ("waiting", "Waiting"),
                    ("in_flight", "In Flight"),
                    ("answered", "Answered"),
                    ("silent", "Silent"),
                ],
                default="waiting",
                max_length=16,
            ),
        ),
        migrations.RunSQL(
            "UPDATE mailings_batch SET state = 'in_flight' WHERE state = 'handing'",
            "UPDATE mailings_batch SET state = 'handing' WHERE state = 'in_flight'",
        ),
        migrations.AddIndex(
            "batch",
            models.Index(
                condition=models.Q(("state", "in_flight")),
                fields=["account", "claimed_at"],
                name="batch_in_flight",
            ),
        ),
    ]

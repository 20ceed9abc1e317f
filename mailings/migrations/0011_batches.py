"""What was a lot in some places and a dispatch in others is a batch."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

INDEXES = ("waiting", "handing", "claimed", "look_up", "recall")


class Migration(migrations.Migration):
    dependencies: ClassVar = [("mailings", "0010_heal_recalled_mailings_on_entry")]

    operations: ClassVar = [
        migrations.RenameModel("Dispatch", "Batch"),
        # Django keeps the old name of a renamed field in its idea of an index.
        migrations.RemoveIndex("message", "message_dispatch_phone"),
        migrations.RenameField("message", "dispatch", "batch"),
        migrations.AddIndex(
            "message", models.Index(fields=["batch", "phone"], name="message_batch_phone")
        ),
        *(
            migrations.RenameIndex("batch", new_name=f"batch_{name}", old_name=f"dispatch_{name}")
            for name in INDEXES
        ),
        migrations.AlterField(
            model_name="batch",
            name="mailing",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="batches",
                to="mailings.mailing",
            ),
        ),
    ]

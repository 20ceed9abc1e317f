"""Receipts become an inbox: whoever processes them takes them out of the table and puts them into packs of a
thousand, compressed. Marking them as processed wrote each row twice, in all indexes.
"""

import json
import zlib

import django.db.models.deletion
from django.db import migrations, models

AT_ONCE = 1000


def pack_processed(apps, schema_editor):
    """Move the processed receipts into packs, as integrations/receipts/packs.py does."""
    receipts = apps.get_model("integrations", "Receipt").objects.using(schema_editor.connection.alias)
    packs = apps.get_model("integrations", "ReceiptPack").objects.using(schema_editor.connection.alias)
    processed = receipts.filter(processed_at__isnull=False).order_by("id")
    while rows := list(processed[:AT_ONCE]):
        told = [
            (
                each.id,
                each.account_id,
                each.headers,
                each.query,
                each.body,
                each.received_at.isoformat(),
                each.outcome,
            )
            for each in rows
        ]
        text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        packs.create(
            last_at=max(each.received_at for each in rows),
            receipts=len(rows),
            strangers=sum(each.outcome == "stranger" for each in rows),
            content=zlib.compress(text.encode("utf-8", "surrogatepass"), 1),
        )
        receipts.filter(id__in=[each.id for each in rows]).delete()


def settings_of_tables(apps, schema_editor):
    """The inbox is small and changes all the time: it is cleaned by the number of dead rows, not by their
    share. Packs are compressed already.
    """
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(
        "ALTER TABLE integrations_receipt SET (autovacuum_vacuum_scale_factor = 0, "
        "autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_scale_factor = 0.5)"
    )
    schema_editor.execute(
        "ALTER TABLE integrations_receiptpack ALTER COLUMN content SET STORAGE EXTERNAL"
    )


class Migration(migrations.Migration):
    dependencies = [("integrations", "0007_webhook_events_and_cooldowns")]

    operations = [
        migrations.CreateModel(
            name="ReceiptPack",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("last_at", models.DateTimeField()),
                ("receipts", models.PositiveIntegerField()),
                ("strangers", models.PositiveIntegerField()),
                ("content", models.BinaryField()),
            ],
            options={"indexes": [models.Index(fields=["last_at"], name="receipt_pack_age")]},
        ),
        migrations.RunPython(pack_processed, migrations.RunPython.noop, elidable=False),
        migrations.RemoveIndex(model_name="receipt", name="receipt_age"),
        migrations.RemoveIndex(model_name="receipt", name="receipt_unprocessed"),
        migrations.RemoveField(model_name="receipt", name="outcome"),
        migrations.RemoveField(model_name="receipt", name="processed_at"),
        migrations.AlterField(
            model_name="receipt",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="receipts",
                to="integrations.account",
            ),
        ),
        migrations.RunPython(settings_of_tables, migrations.RunPython.noop, elidable=False),
    ]

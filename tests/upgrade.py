"""Run in a process of its own on an empty database: makes it one of version 0.2.0 with rows in it, upgrades it,
and prints what became of the rows as JSON.
"""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import django

# What `manage.py migrate` of version 0.2.0 made.
BEFORE = [
    ("integrations", "0007_webhook_events_and_cooldowns"),
    ("mailings", "0013_submitted"),
    ("users", "0006_classes_of_phones"),
    ("smsmail", "0003_heartbeats_and_set_aside"),
]
AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
PROCESSED, STRANGERS, WAITING = 2500, 20, 3


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsmail.settings")
    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    theirs = [node for node in executor.loader.graph.leaf_nodes() if node[0] not in dict(BEFORE)]
    executor.migrate([*BEFORE, *theirs])
    fill(executor.loader.project_state([*BEFORE, *theirs]).apps)
    call_command("migrate", verbosity=0)
    sys.stdout.write(json.dumps(found()))


def fill(apps: Any) -> None:
    """Make rows of every table that a later migration touches, and of those that they belong to."""
    smsc = apps.get_model("integrations", "Account").objects.create(
        provider="smsc", credentials={"login": "school", "password": "made-up"}, parallel=4
    )
    for provider, parallel in (("twilio", 2), ("seventech", 3)):
        apps.get_model("integrations", "Account").objects.create(
            provider=provider, parallel=parallel
        )
    mailing = apps.get_model("mailings", "Mailing").objects.create(
        name="Autumn", text="Hello", everyone=True, state="sending", launched_at=AT, prepared_at=AT
    )
    batch = apps.get_model("mailings", "Batch").objects.create(
        mailing=mailing, size=PROCESSED + 1, reference="a" * 24, account=smsc, state="answered"
    )
    message = apps.get_model("mailings", "Message")
    message.objects.bulk_create(
        message(
            mailing=mailing,
            key=phone(number),
            phone=phone(number),
            text="Hello",
            parts=1,
            status="delivered" if number else "accepted",
            batch=batch,
            price=2,
            submitted_at=AT,
            final_at=AT if number else None,
        )
        for number in range(PROCESSED + 1)
    )
    apps.get_model("mailings", "Counters").objects.create(
        mailing=mailing,
        accepted=1,
        delivered=PROCESSED,
        parts=PROCESSED + 1,
        price=2 * (PROCESSED + 1),
    )
    receipt = apps.get_model("integrations", "Receipt")
    receipt.objects.bulk_create(
        receipt(
            account=smsc,
            received_at=AT + timedelta(seconds=number),
            headers={"content-type": "application/x-www-form-urlencoded"},
            query="x=ё 👍",
            body=body(number),
            processed_at=AT if number < PROCESSED else None,
            outcome=outcome(number),
        )
        for number in range(PROCESSED + WAITING)
    )
    apps.get_model("integrations", "SimulatedSms").objects.create(
        reference="b", phone=phone(1), text="Hello", report_at=AT, kept=True
    )


def found() -> dict[str, Any]:
    """Read everything with the code of this version, and process what was left."""
    from integrations.models import Account, Receipt, ReceiptPack, SimulatedSms
    from integrations.receipts import packs
    from mailings.models import Mailing, Message
    from mailings.reports import recount
    from mailings.sending import receipts

    packed = [
        (receipt.received_at.isoformat(), receipt.query, receipt.body, outcome)
        for stored in ReceiptPack.objects.order_by("id")
        for receipt, outcome in packs.unpack(stored)
    ]
    waiting = list(Receipt.objects.order_by("id").values_list("body", flat=True))
    while receipts.process_due():
        pass
    return {
        "packed": packed,
        "strangers": sum(ReceiptPack.objects.values_list("strangers", flat=True)[:3]),
        "waiting": waiting,
        "left": Receipt.objects.count(),
        "statuses": dict(Message.objects.values_list("key", "status")),
        "parallel": dict(Account.objects.values_list("provider", "parallel")),
        "scheduled": SimulatedSms.objects.get().scheduled,
        "removed": Mailing.objects.get().messages_removed_at,
        "differences": len(recount.compare()),
    }


def phone(number: int) -> str:
    return f"+7998{number:07}"


def body(number: int) -> str:
    """The first that waits is about the one message that was accepted only."""
    of = 0 if number == PROCESSED else number
    return f"id={'a' * 24}&phone={phone(of)[1:]}&status=1&err=0&n={number}"


def outcome(number: int) -> str:
    if number >= PROCESSED:
        return ""
    return "stranger" if number < STRANGERS else "applied"


if __name__ == "__main__":
    main()

"""Encrypts everything again with the first of FIELD_KEYS, after a new key was put there."""

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction
from django.db.models import TextField
from django.db.models.functions import Cast

from smsmail.encryption import EncryptedJSONField, first_key_reads, keys

SLICE = 500


class Command(BaseCommand):
    help = "Encrypt everything with the first of FIELD_KEYS, and say whether older keys are still needed."

    def handle(self, **_options: Any) -> None:
        unread = 0
        for model, name in encrypted():
            rewritten, unreadable = rewrite(model, name)
            unread += unreadable
            label = f"{model._meta.label_lower}.{name}"
            self.stdout.write(f"{label}: {rewritten} rewritten, {unreadable} cannot be read")
        left = sum(len(old(model, name)) for model, name in encrypted())
        if unread or left:
            raise CommandError(
                f"{left} values are not under the first key; remove no key. To read the rest,"
                " put the keys they were written with into FIELD_KEYS, or enter the values anew."
            )
        others = len(keys()) - 1
        self.stdout.write(
            f"Everything can be read with the first key alone. {others} others in FIELD_KEYS are"
            " needed no more, except for older backups."
            if others
            else "Everything is encrypted with the only key."
        )


def encrypted() -> list[tuple[type[models.Model], str]]:
    """Return (model, column) for every encrypted column of any app."""
    return [
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, EncryptedJSONField)
    ]


def old(model: type[models.Model], name: str) -> list[Any]:
    """Return the primary keys of rows that the first key cannot read."""
    rows = model._default_manager.annotate(written=Cast(name, TextField())).exclude(written="")
    each = rows.order_by("pk").values_list("pk", "written").iterator(SLICE)
    return [pk for pk, written in each if not first_key_reads(written)]


def rewrite(model: type[models.Model], name: str) -> tuple[int, int]:
    """Encrypt the rows again. Returns how many were rewritten and how many no key can read. Each
    slice is one transaction and one statement.
    """
    wanted, rewritten, unreadable = old(model, name), 0, 0
    for begin in range(0, len(wanted), SLICE):
        with transaction.atomic():
            rows, bad = _locked(model, name, wanted[begin : begin + SLICE])
            model._default_manager.bulk_update(rows, [name])
        rewritten += len(rows)
        unreadable += bad
    return rewritten, unreadable


def _locked(model: type[models.Model], name: str, pks: list[Any]) -> tuple[list[models.Model], int]:
    """Lock and read a slice; row by row only if one of its rows cannot be read."""
    rows = model._default_manager.select_for_update().only("pk", name).order_by("pk")
    try:
        return list(rows.filter(pk__in=pks)), 0
    except ValueError:
        found: list[models.Model] = []
        for pk in pks:
            try:
                found += rows.filter(pk=pk)
            except ValueError:
                continue
        return found, len(pks) - len(found)

"""`manage.py reclassify_clicks`: classifies all clicks again by the current rules, and corrects
every figure.
"""

from typing import Any

from django.core.management.base import BaseCommand

from mailings.models import Click, Mailing
from mailings.tracking import aggregate


class Command(BaseCommand):
    help = (
        "Judges all clicks that are counted already by what is stored of them: person, preview or robot."
        " One mailing after the other; ended in between, it may simply be started again."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        # Where clicks were removed, those that are left say nothing of the figures.
        removed = Mailing.objects.filter(messages_removed_at__isnull=False).values("id")
        judged = Click.objects.exclude(mailing__in=removed)
        mailings = judged.order_by("mailing").values_list("mailing", flat=True).distinct()
        changed = 0
        for mailing in mailings:
            of_mailing = aggregate.reclassify(mailing)
            if of_mailing:
                self.stdout.write(f"mailing {mailing}: {of_mailing} clicks of another class")
            changed += of_mailing
        self.stdout.write(f"Clicks of another class: {changed}.")

"""Finds where a variable is used: texts and rules of mailings whose messages are not written yet."""

import json
import re

from django.db.models import Q
from django.utils.translation import gettext as _

from mailings.models import Mailing, SavedText


def drafts_with(name: str) -> list[str]:
    """Return, in words, where the variable is used: mailings that are not prepared yet, if it is in
    their text or in the rule of their launch; notifications; and saved texts.
    """
    asked = json.dumps(f"own:{name}")
    over = Q(state__in=[Mailing.State.DONE, Mailing.State.CANCELLED])
    open_ones = Mailing.objects.filter(
        Q(text__contains=name) | Q(rule__isnull=False),
        Q(kind=Mailing.Kind.MAILING) & ~over | Q(kind=Mailing.Kind.NOTIFICATION),
        prepared_at__isnull=True,
    )
    saved = SavedText.objects.filter(text__contains=name)
    return [
        *(
            each.name
            for each in open_ones.order_by("id")
            if _names(each.text, name) or (each.rule and asked in json.dumps(each.rule))
        ),
        *(
            _("saved text “%(name)s”") % {"name": each.name}
            for each in saved
            if _names(each.text, name)
        ),
    ]


def _names(written: str, name: str) -> bool:
    return name in _NAMED.findall(written)


_NAMED = re.compile(r"\{\s*(\w+)\s*(?=[|}])")

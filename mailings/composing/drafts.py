"""Saving a draft, by hand and automatically while the user types. If two people edit the same
draft, neither loses what they wrote. The pages are in composing/views.py.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from django.db import transaction
from django.forms import model_to_dict
from django.utils import timezone
from django.utils.translation import gettext as _

from mailings.audience.spec import AudienceSpec
from mailings.models import Mailing
from users.models import AuditEvent, User, audit
from users.segments import rules
from users.segments.rules import BadRule

from .forms import DraftForm

OF_A_DRAFT = (
    *(name for name in DraftForm.Meta.fields if name not in {"recipients", "groups"}),
    *("starts_at", "first_wave", "first_percent"),
)
SAME_WORK = timedelta(minutes=10)  # a person's changes within this time are one line of the history


class NoDraft(Exception):
    """The mailing was launched while the form was open. str() says so in words."""


class Deleted(NoDraft):
    """The draft was deleted while the form was open. str() says so in words."""


class DraftChanged(Exception):
    """Somebody else saved the draft after the form was opened. str() says who."""


@dataclass(frozen=True, slots=True)
class Saved:
    draft: Mailing
    new: bool


def version_of(draft: Mailing) -> str:
    """Return a hash of the stored values of the form's fields, '' for an unsaved draft. The form
    sends it back.
    """
    if draft.pk is None:
        return ""
    stored = Mailing.objects.get(pk=draft.pk)
    values = [str(value) for value in model_to_dict(stored, OF_A_DRAFT).values()]
    groups = sorted(stored.groups.values_list("pk", flat=True))
    return sha256(json.dumps([values, stored.everyone, groups]).encode()).hexdigest()[:16]


def seen_of(draft: Mailing) -> str:
    """Return a hash of all that the person who launches it has reviewed, including its rule and
    nested segments. The confirmation page sends it back.
    """
    spec = AudienceSpec.of(draft)
    rule = spec.rule
    with suppress(BadRule):
        rule = rule and rules.written_out(spec.parsed_rule)
    written = json.dumps([version_of(draft), rule], sort_keys=True)
    return sha256(written.encode()).hexdigest()[:16]


def save(form: DraftForm, by: User, version: str | None) -> Saved:
    """Save a valid form. Raises NoDraft or DraftChanged."""
    with transaction.atomic():
        new = _ready(form, by, version)
        form.save()
        audit(by, "written" if new else "changed", f"mailing {form.instance.pk}")
    return Saved(form.instance, new)


def save_what_fits(form: DraftForm, by: User, version: str | None) -> Saved:
    """Save an incomplete form: the valid fields, and the text as it is. Raises NoDraft or
    DraftChanged.
    """
    with transaction.atomic():
        form.is_valid()
        new = _ready(form, by, version)
        form.save_what_fits()
        _note(form.instance, by, new=new)
    return Saved(form.instance, new)


def _ready(form: DraftForm, by: User, version: str | None) -> bool:
    """Lock the draft and check that it is still what the form was opened for. Return True for a new
    draft.
    """
    draft = form.instance
    if draft.pk is None:
        draft.created_by = by
        return True
    stored = Mailing.objects.select_for_update(of=("self",)).filter(pk=draft.pk).first()
    if stored is None:
        raise Deleted(deleted_words())
    if stored.state != Mailing.State.DRAFT:
        raise NoDraft(launched_words())
    if version is not None and version != version_of(draft):
        raise DraftChanged(_by_whom(draft, by))
    return False


def launched_words() -> str:
    return _("It has been launched: its text and people can no longer change.")


def deleted_words() -> str:
    return _("This draft was deleted meanwhile. What you wrote stands here: save it as a new one.")


def _by_whom(draft: Mailing, reader: User) -> str:
    last = AuditEvent.objects.select_related("by").filter(target=f"mailing {draft.pk}").last()
    by = last.by if last else None
    if by == reader:
        who = _("You have changed this draft in another window meanwhile.")
    elif by is not None:
        who = _("%(name)s has changed this draft meanwhile.") % {"name": by.name}
    else:
        who = _("Somebody has changed this draft meanwhile.")
    unsaved = _(
        "What you wrote stands here and is not saved. Saving it by hand replaces what is stored."
    )
    return f"{who} {unsaved}"


def _note(draft: Mailing, by: User, *, new: bool) -> None:
    """Write one audit line per stretch of work: a draft saves itself every few seconds."""
    target = f"mailing {draft.pk}"
    lately = AuditEvent.objects.filter(target=target, at__gt=timezone.now() - SAME_WORK).last()
    if new or lately is None or lately.by_id != by.pk or lately.what not in {"written", "changed"}:
        audit(by, "written" if new else "changed", target)

"""Makes a new draft from a mailing in any state. It copies the text, the recipients and the
options, but not the state, times or figures.
"""

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from mailings.models import Mailing
from users.access.authenticated import AuthenticatedRequest
from users.models import User, audit
from users.rights import Right, require_right

COPIED = (
    *("text", "everyone", "segment", "only_confirmed", "wrap_links"),
    *("links_sign_in", "sign_in_days"),
    *("when", "present_too", "hand_over", "valid_minutes", "urgent"),
    *("first_wave", "first_percent", "error_limit"),
)


@require_right(Right.EDIT_MAILINGS)
@require_POST
def copy(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    original = get_object_or_404(Mailing.objects.listed(), pk=pk)
    made = copy_of(original, request.user)
    messages.success(request, _("This is a copy, and a draft. The original stays as it is."))
    if not made.everyone and made.segment_id is None and not made.groups.exists():
        messages.warning(request, _("The groups it went to are gone: choose who gets it."))
    return redirect("mailing-edit", pk=made.pk)


def copy_of(original: Mailing, by: User) -> Mailing:
    with transaction.atomic():
        made = Mailing.objects.create(
            name=_name_of(original),
            created_by=by,
            **{name: getattr(original, name) for name in COPIED},
        )
        made.groups.set(original.groups.all())
        audit(by, "written", f"mailing {made.pk}", copy_of=original.pk)
    return made


def _name_of(original: Mailing) -> str:
    """Cut the name to the length of the field, so that the word at its end remains."""
    longest = Mailing._meta.get_field("name").max_length or 0
    end = _(" (copy)")
    begin = original.name.removesuffix(end)
    return f"{begin[: longest - len(end)].rstrip()}{end}"

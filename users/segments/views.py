"""Pages of segments: the list, a segment with its people, and the rule editor with a live count."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import InvalidPage, Paginator
from django.db import transaction
from django.db.models import ProtectedError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from smsmail.web import paging, query
from users.access.authenticated import AuthenticatedRequest
from users.models import Segment, User, audit
from users.people.search import PAGE
from users.rights import Right, require_right

from . import rule_editor, rules, segments
from .big_queries import AT_ONCE, WAITED_FOR, TakesLong, over_everybody, patience
from .forms import SegmentForm


@require_right(Right.SEE_PEOPLE)
def segment_list(request: AuthenticatedRequest) -> HttpResponse:
    try:
        shown = Paginator(Segment.objects.all(), PAGE).page(request.GET.get("page") or 1)
    except InvalidPage:
        raise Http404 from None
    rows = [(each, *_told(each)) for each in shown]
    return render(request, "users/segments/segments.html", {"rows": rows, "page": shown})


@require_right(Right.EDIT_PEOPLE)
def segment_new(request: AuthenticatedRequest) -> HttpResponse:
    return _edit(request, Segment())


@require_right(Right.EDIT_PEOPLE)
def segment_edit(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    return _edit(request, get_object_or_404(Segment, pk=pk))


@require_right(Right.SEE_PEOPLE)
def segment(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Show the rule as a sentence, and who matches it now."""
    shown = get_object_or_404(Segment, pk=pk)
    before = request.GET.get("before", "")
    below = paging.before(before)
    rows: list[User] = []
    words, trouble = _told(shown)
    in_time = True
    if not trouble:
        try:
            with over_everybody(patience(request)):
                if not before or shown.counted is None:
                    shown.counted = segments.recount(shown)
                people = segments.people(rules.read(shown.rule, of=pk)).order_by("-id")
                if below is not None:
                    people = people.filter(id__lt=below)
                rows = list(people.prefetch_related("groups")[: PAGE + 1])
        except TakesLong:
            in_time = False
    context = {
        "in_time": in_time,
        "in_a_moment": not in_time and patience(request) == AT_ONCE,
        "again": urlencode({"before": before, "count": 1}),
        "segment": shown,
        "sentence": words,
        "trouble": trouble,
        "people": rows[:PAGE],
        "older": rows[PAGE - 1].pk if len(rows) > PAGE else None,
        "at_start": not before,
        "used_in": segments.uses(pk),
    }
    return render(request, "users/segments/segment.html", context)


@require_right(Right.EDIT_PEOPLE)
def segment_delete(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Ask for confirmation first. Refused while a mailing or another segment needs it."""
    gone = get_object_or_404(Segment, pk=pk)
    in_use = [_("segment “%(name)s”") % {"name": each.name} for each in segments.uses(pk)]
    if request.method != "POST":
        context = {"segment": gone, "in_use": in_use, "back": reverse("segment", args=[pk])}
        return render(request, "users/segments/segment_delete.html", context)
    if in_use:
        messages.error(request, _("It is used by: %(names)s.") % {"names": ", ".join(in_use)})
        return redirect("segment", pk=pk)
    try:
        with transaction.atomic():
            audit(request.user, "segment_deleted", f"segment {pk}", name=gone.name, rule=gone.rule)
            gone.delete()
    except ProtectedError:
        messages.error(
            request, _("A mailing goes to it, or went. It stays, so that one can see whom.")
        )
        return redirect("segment", pk=pk)
    messages.success(request, _("The segment %(name)s is deleted.") % {"name": gone.name})
    return redirect("segments")


@require_right(Right.EDIT_PEOPLE)
@require_POST
def segment_rule(request: AuthenticatedRequest) -> HttpResponse:
    """Return the editor after a choice: rows and their controls."""
    return render(
        request, "users/segments/_rule.html", _shown(request, rule_editor.posted(_data(request)))
    )


@require_right(Right.EDIT_PEOPLE)
@require_POST
def segment_count(request: AuthenticatedRequest) -> HttpResponse:
    """Return how many people match the rule as typed. htmx also sends the button pressed last."""
    data = {name: value for name, value in _data(request).items() if name != "do"}
    context = _shown(request, rule_editor.posted(data), typed=True, seconds=WAITED_FOR)
    return render(request, "users/segments/_rule_count.html", context)


def _edit(request: AuthenticatedRequest, row: Segment) -> HttpResponse:
    posted = request.method == "POST"
    form = SegmentForm(request.POST if posted else None, instance=row)
    if posted:
        editor = rule_editor.posted(_data(request), of=row.pk)
    else:
        editor = rule_editor.stored(row.rule, of=row.pk) if row.pk else rule_editor.fresh()
    if posted and "do" not in request.POST and _saved(request, form, editor):
        messages.success(request, _("Saved."))
        return redirect("segment", pk=form.instance.pk)
    typed = posted and "do" not in request.POST
    context = {
        "form": form,
        "segment": row,
        "watchers": segments.watchers(row.pk) if row.pk else [],
        **_shown(request, editor, typed=typed),
    }
    return render(request, "users/segments/segment_form.html", context)


def _saved(request: AuthenticatedRequest, form: SegmentForm, editor: rule_editor.Editor) -> bool:
    row, was = form.instance, form.instance.rule
    if not form.is_valid() or not editor.check(of=row.pk):
        return False
    new = row.pk is None
    with transaction.atomic():
        row.rule = editor.json
        if new:
            row.created_by = request.user
        form.save()
        what = "segment_added" if new else "segment_changed"
        audit(request.user, what, f"segment {row.pk}", was=was, now=row.rule)
    return True


def _data(request: AuthenticatedRequest) -> dict[str, str]:
    return {name: str(value) for name, value in request.POST.items()}


def _shown(
    request: AuthenticatedRequest,
    editor: rule_editor.Editor,
    *,
    typed: bool = False,
    seconds: float = AT_ONCE,
) -> dict[str, Any]:
    """Context for templates. Errors of rows appear once the rule was submitted, not while the user
    chooses. A count that takes too long is loaded afterwards.
    """
    of = query.number(request.POST.get("segment", ""))
    counted, in_time = None, True
    if editor.check(of=of):
        try:
            counted = editor.count(seconds)
        except TakesLong:
            in_time = False
    return {
        "in_time": in_time,
        "in_a_moment": not in_time and seconds == AT_ONCE,
        "editor": editor,
        "matches": rule_editor.MATCHES,
        "counted": counted,
        "typed": typed,
    }


def _told(row: Segment) -> tuple[str, str]:
    """Return the rule as a sentence, or the reason why it cannot be read."""
    try:
        return rules.sentence(rules.read(row.rule, of=row.pk)), ""
    except rules.BadRule as bad:
        return "", bad.message

"""Pages of a list by keyset: rows by falling id, and the id to go on below."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import Http404

from . import query

PAGE = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, newest first; older is the key to go on with, or None."""

    rows: list[Any]
    older: int | None


def page_of(rows: QuerySet[Any], typed: str) -> Page:
    """By id, never by OFFSET: the hundredth page costs as much as the first."""
    below = before(typed)
    if below is not None:
        rows = rows.filter(id__lt=below)
    found = list(rows.order_by("-id")[: PAGE + 1])
    older = found[PAGE - 1].id if len(found) > PAGE else None
    return Page(found[:PAGE], older)


def before(typed: str) -> int | None:
    """None for the start of the list. Nonsense is no start: 404, not the first page without a word."""
    if not typed:
        return None
    below = query.number(typed)
    if below is None:
        raise Http404
    return below

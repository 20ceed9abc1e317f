"""Keyset paging: rows by descending id, and the id below which the next page begins."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import Http404

from . import query

PAGE = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, newest first. `older` is the key of the next page, or None."""

    rows: list[Any]
    older: int | None


def page_of(rows: QuerySet[Any], typed: str) -> Page:
    """Page by id, never by OFFSET: the hundredth page costs as much as the first."""
    below = before(typed)
    if below is not None:
        rows = rows.filter(id__lt=below)
    found = list(rows.order_by("-id")[: PAGE + 1])
    older = found[PAGE - 1].id if len(found) > PAGE else None
    return Page(found[:PAGE], older)


def before(typed: str) -> int | None:
    """Parse the key; None for the start of the list. Raises Http404 for an invalid key instead of
    silently showing the first page.
    """
    if not typed:
        return None
    below = query.number(typed)
    if below is None:
        raise Http404
    return below

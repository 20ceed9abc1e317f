"""What the address of a list says of where it goes on: ids below this one."""

from django.http import Http404


def before(typed: str) -> int | None:
    """None for the start of the list. Nonsense is no start: 404, not the first page without a word."""
    if not typed:
        return None
    if typed.isascii() and typed.isdecimal() and len(typed) < 19:  # no id is longer
        return int(typed)
    raise Http404

"""Deleting a group. Refused while a segment names it or another app needs its people, who would
silently miss messages.
"""

from collections.abc import Callable, Iterable

from django.db import transaction
from django.utils.translation import gettext as _

from users.models import Group, Segment, User, audit

from . import rules

# Asked before a group is deleted: the names of things in other apps that use it.
_users_elsewhere: list[Callable[[Group], Iterable[str]]] = []


def ask_about_uses(uses: Callable[[Group], Iterable[str]]) -> None:
    """Register a function that names the uses of a group. The mailings app calls this at start-up,
    because users may not import it.
    """
    _users_elsewhere[:] = [uses]


def uses(group: Group) -> list[str]:
    """Return the names of what would reach fewer or other people without the group."""
    segments = [each.name for each in Segment.objects.all() if asks_about(each.rule, group)]
    return [
        *(_("segment “%(name)s”") % {"name": name} for name in segments),
        *(words for ask in _users_elsewhere for words in ask(group)),
    ]


def asks_about(rule: object, group: Group) -> bool:
    """True if a stored rule, readable or not, names this group."""
    asked = (part.get("value") for part in rules.every_part(rule) if part.get("field") == "group")
    named = (value[0] if isinstance(value, list) and value else value for value in asked)
    return str(group.pk) in map(str, named)


def delete(group: Group, by: User) -> list[str]:
    """Delete the group; its people stay. Returns [] if it was deleted, otherwise its uses()."""
    with transaction.atomic():
        # A launch keeps its groups locked until it commits.
        Group.objects.select_for_update().filter(pk=group.pk).first()
        in_use = uses(group)
        if not in_use:
            audit(by, "group_deleted", f"group {group.pk}", name=group.name)
            Group.objects.filter(pk=group.pk).delete()
    return in_use

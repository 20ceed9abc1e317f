"""Deleting a group. Refused while a segment names it or another app needs its people, who would
silently miss messages.
"""

from collections.abc import Callable, Iterable

from django.db import transaction
from django.utils.translation import gettext as _

from users.hooks import Hook
from users.models import Group, Segment, User, audit

from . import rules

# Asked before a group is deleted: what goes by it in other apps, each in words.
uses_elsewhere: Hook[Callable[[Group], Iterable[str]]] = Hook(lambda _group: [])


def uses(group: Group) -> list[str]:
    """Return the names of what would reach fewer or other people without the group."""
    segments = [each.name for each in Segment.objects.all() if asks_about(each.rule, group)]
    return [
        *(_("segment “%(name)s”") % {"name": name} for name in segments),
        *uses_elsewhere.given(group),
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

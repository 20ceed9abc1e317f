"""The end of a group: not while a segment asks about it or another room still needs its people, who
would be missed in silence.
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
    """What would reach fewer or other people without it, in words."""
    segments = [each.name for each in Segment.objects.all() if asks_about(each.rule, group)]
    return [
        *(_("segment “%(name)s”") % {"name": name} for name in segments),
        *uses_elsewhere.given(group),
    ]


def asks_about(rule: object, group: Group) -> bool:
    """Does a stored rule, readable or not, name this group?"""
    asked = (part.get("value") for part in rules.every_part(rule) if part.get("field") == "group")
    named = (value[0] if isinstance(value, list) and value else value for value in asked)
    return str(group.pk) in map(str, named)


def delete(group: Group, by: User) -> list[str]:
    """The people stay. [] when it is gone, else its uses()."""
    with transaction.atomic():
        # A launch holds its groups until it is written down.
        Group.objects.select_for_update().filter(pk=group.pk).first()
        in_use = uses(group)
        if not in_use:
            audit(by, "group_deleted", f"group {group.pk}", name=group.name)
            Group.objects.filter(pk=group.pk).delete()
    return in_use

"""Previews one message of a notification, for its editor. Read-only."""

from collections.abc import Collection
from decimal import Decimal
from functools import cached_property

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from mailings.audience.funnel import Funnel
from mailings.audience.personalization import own_names, values_of, variables
from mailings.audience.spec import AudienceSpec
from mailings.audience.text_extremes import Parts, Rendering
from mailings.composing.preview import Look, Preview
from mailings.models import Mailing
from mailings.text import template as text
from mailings.text.wrapping import Wrapping
from users.models import Group, User

from . import registry

SAMPLE_CODE = "123456"


def samples(notification: Mailing, brought: Collection[str]) -> dict[str, str]:
    """Return made-up values of the event: a code for {code}, and for others their names."""
    code = notification.event == registry.PHONE_CODE
    return {name: SAMPLE_CODE if code and name == "code" else name for name in brought}


def variables_of(brought: Collection[str]) -> dict[str, str | Promise]:
    """Return the variables that the text may name, with their labels, the event's own first."""
    of_event: dict[str, str | Promise] = {name: _("of the event: %s") % name for name in brought}
    return of_event | variables()


class EventPreview(Preview):
    """For the templates of Preview: one message, to a person who might get it."""

    def __init__(
        self,
        written: str,
        notification: Mailing,
        brought: Collection[str],
        reader: User,
        look: Look,
        wrapping: Wrapping,
    ) -> None:
        self.brought = brought
        self.samples = samples(notification, brought)
        anybody = AudienceSpec(True, Group.objects.none(), False)
        super().__init__(written, anybody, reader, Look("person", look.q), wrapping)

    @property
    def extremes(self) -> None:  # the recipients are not known in advance
        return None

    @property
    def parts(self) -> Parts:
        return Parts(self.measure.parts, exact=True)

    def _count(self, reader: User) -> None:
        self.funnel = Funnel(0, {}, 0)
        self.person = self._person(reader)

    @cached_property
    def names(self) -> list[str]:
        return [*own_names(), *self.brought]

    def _rendering(self, template: text.Template, person: User) -> Rendering:
        body = text.render(template, values_of(person) | self.samples).strip()
        return Rendering(person, body, text.measure(body))

    def _saved(self, others: Parts) -> Decimal:
        return Decimal(0)


def preview_of(notification: Mailing, reader: User, *, look: Look | None = None) -> EventPreview:
    """Return the preview of the stored notification."""
    return EventPreview(
        notification.text,
        notification,
        notification.event_values,
        reader,
        look or Look(),
        notification.wrapping,
    )

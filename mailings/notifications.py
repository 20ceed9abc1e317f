"""One person, one event, one message: for now the test send of a mailing. The message travels the
same way as any other, in a lane of its own before mailings.
"""

import secrets

from django.db import transaction
from django.utils.translation import gettext as _

from integrations import router
from smsmail.clock import nudge
from users import consent
from users.models import User, audit

from . import bulk, ledger, marks, text
from .models import Counters, Mailing, Message
from .prepare import new_lots
from .values import as_launched, parsed, values_of


class NotSent(Exception):
    """Why nothing goes to this person, in words."""


def send_test(
    mailing: Mailing, to: User, by: User, phone: str = "", whose: User | None = None
) -> Message:
    """The mailing's text as this person would get it, now; to another phone (E.164) if given; with
    the values of somebody else if given, whose own ban does not matter then.

    Raises NotSent. Counts in none of the mailing's figures; its short links lead where the mailing's
    do, by the mailing's number in the key.
    """
    try:
        parsed(mailing.text, mailing.wrapping)
    except text.BadText as error:
        raise NotSent(str(error)) from error
    whose = whose or to
    message = send_one(
        tests(),
        to,
        key=f"test:{mailing.id}:{secrets.token_hex(8)}",
        phone=phone or to.phone,
        body=text.render(as_launched(mailing.text, mailing.wrapping), values_of(whose)),
    )
    audit(by, "test_sent", f"mailing {mailing.id}", person=whose.id)
    return message


def send_one(mailing: Mailing, to: User, *, key: str, phone: str, body: str) -> Message:
    """Write the message and its lot of one. The key makes a repetition harmless: IntegrityError.

    Raises NotSent for an empty text, no service, no phone, or a person who must get nothing.
    """
    if router.current() is None:
        raise NotSent(_("No SMS service is connected. Ask the owner to connect one."))
    if not body.strip():
        raise NotSent(_("The text is empty."))
    if not phone:
        raise NotSent(_("%(name)s has no phone.") % {"name": to.name})
    if consent.refuses(to, phone):
        raise NotSent(_("%(name)s gets no SMS: they are forbidden.") % {"name": to.name})
    with transaction.atomic():
        (lot,) = new_lots(mailing.id, [1])
        entry = bulk.Entry(
            mailing_id=mailing.id,
            key=key,
            user_id=to.id,
            phone=phone,
            text=body,
            parts=text.parts_of(marks.masked(body)),
            status=Message.Status.WAITING.value,
            reason="",
            dispatch_id=lot.id,
            final_at=None,
        )
        ledger.enter(mailing.id, [entry])
        nudge("hand_over")
        return Message.objects.get(mailing=mailing, key=key)


def tests() -> Mailing:
    """The one mailing that holds all test messages; it is always sending."""
    with transaction.atomic():  # both or none: without counters nothing can ever be sent with it
        mailing, created = Mailing.objects.get_or_create(
            kind=Mailing.Kind.TEST,
            defaults={"name": "Test messages", "state": Mailing.State.SENDING},
        )
        if created:
            Counters.objects.create(mailing=mailing)
    return mailing

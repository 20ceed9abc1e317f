"""Limits the tests to other people's numbers. They are real SMS, and a list of numbers typed one by
one would be a mailing that nobody has reviewed. Read-only.

A user's own number is the one that they have confirmed; tests to it are not limited.
"""

from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from mailings.models import Batch, Mailing, Message, Policy
from users.models import User

PER_PERSON, PER_ACCOUNT = 20, 100
DAY = timedelta(days=1)


class TooManyTests(Exception):
    """No test goes to this number now. str() says why."""


def check(by: User, phone: str) -> None:
    """Raises TooManyTests if this person may not send a test to this phone."""
    if _is_own(by, phone):
        return
    sent = _sent_lately()
    mine = [number for sender, number in sent if sender == by.pk]
    if len(mine) >= PER_PERSON:
        raise TooManyTests(
            _(
                "You have sent %(most)d tests to other numbers in 24 hours. Send them to your own"
                " confirmed number, or try again tomorrow."
            )
            % {"most": PER_PERSON}
        )
    if len(sent) >= PER_ACCOUNT:
        raise TooManyTests(
            _(
                "All together have sent %(most)d tests in 24 hours. Send them to your own confirmed"
                " number, or try again tomorrow."
            )
            % {"most": PER_ACCOUNT}
        )
    _check_second_person({*mine, phone})


def left_for(by: User) -> int:
    """Return how many more tests to other numbers this person may send now, by the limits on
    numbers alone.
    """
    sent = _sent_lately()
    mine = sum(sender == by.pk for sender, _number in sent)
    return max(min(PER_PERSON - mine, PER_ACCOUNT - len(sent)), 0)


def _check_second_person(numbers: set[str]) -> None:
    """Apply the rule of a second person to tests as well as to mailings."""
    above = Policy.current().two_people_above
    if above is None or len(numbers) <= above:
        return
    if above == 0:
        raise TooManyTests(
            _(
                "Here every mailing needs a second person, so tests go to your own confirmed number"
                " only. Confirm it on your page."
            )
        )
    raise TooManyTests(
        _(
            "A mailing to more than %(above)d people needs a second person here, and so would tests"
            " to more numbers than that. Send this one to your own confirmed number."
        )
        % {"above": above}
    )


def _is_own(by: User, phone: str) -> bool:
    fresh = User.objects.filter(pk=by.pk, phone=phone, phone_confirmed_at__isnull=False)
    return fresh.exists()


def _sent_lately() -> list[tuple[int, str]]:
    """Return (sender's id, phone) of each test of the last day to a number that is not the sender's
    own.
    """
    lately = Batch.objects.filter(
        mailing__kind=Mailing.Kind.TEST, not_before__gt=timezone.now() - DAY
    )
    rows = Message.objects.filter(batch__in=lately).values_list("key", "phone")
    # The key ends with the sender's id; keys without it are older than this count.
    sent = [(int(key.rpartition(":")[2]), phone) for key, phone in rows if key.count(":") == 3]
    senders = User.objects.filter(pk__in={sender for sender, _phone in sent})
    own = set(senders.exclude(phone_confirmed_at=None).values_list("pk", "phone"))
    return [each for each in sent if each not in own]

"""Figures, bars, reasons and pages of a list."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.http import Http404
from django.utils import timezone, translation

from integrations.reasons import Reason
from mailings.lifecycle import transitions
from mailings.models import Counters, Mailing, Message
from mailings.reports import figures, history
from mailings.sending import ledger
from mailings.sending.halt import halt
from mailings.sending.ledger import Move
from smsmail.web import paging
from tests import factories
from tests.mailings import mailing_factories
from users.models import User

Status = Message.Status


def counted(**counts: int) -> Counters:
    return Counters(mailing_id=1, **counts)


def test_it_shows_four_figures_always_and_the_others_when_they_are_not_zero() -> None:
    shown = figures.figures(counted(delivered=3, unknown=1, skipped=2))
    assert [(figure.part.slug, figure.count, figure.share) for figure in shown] == [
        ("delivered", 3, 75),
        ("sent", 0, 0),
        ("error", 0, 0),
        ("unknown", 1, 25),
        ("waiting", 0, 0),
        ("skipped", 2, 0),
    ]


def test_every_status_is_in_exactly_one_figure() -> None:
    statuses = [status for part in figures.PARTS for status in part.statuses]
    assert sorted(statuses) == sorted(Status)
    assert set(figures.ERROR.statuses) == Message.FAILED


def test_the_pieces_of_a_bar_follow_each_other_and_fill_it() -> None:
    counters = counted(delivered=5, accepted=3, refused=2, waiting=10, skipped=7)
    pieces = [(piece.part.slug, piece.x, piece.width) for piece in figures.spread(counters)]
    assert pieces == [
        ("delivered", "0.000%", "25.000%"),
        ("sent", "25.000%", "15.000%"),
        ("error", "40.000%", "10.000%"),
        ("waiting", "50.000%", "50.000%"),
    ]
    assert figures.spread(counted(skipped=7)) == []


@pytest.mark.parametrize(
    ("count", "of", "shown"),
    [(0, 0, 0), (0, 5, 0), (1, 1000, 1), (999, 1000, 99), (1000, 1000, 100), (1, 3, 33)],
)
def test_percent_never_claims_all_or_nothing_when_it_is_not_so(
    count: int, of: int, shown: int
) -> None:
    assert figures.percent(count, of) == shown


def test_it_counts_reasons_of_a_part_the_commonest_first(manager: User) -> None:
    factories.simulator()
    factories.students(6)
    factories.students(2, start=6, sms_forbidden=True)
    mailing = mailing_factories.prepared(manager)
    messages = list(Message.objects.filter(mailing=mailing, status=Status.WAITING).order_by("id"))
    move(messages[:3], Status.REFUSED, Reason.NO_SUCH_NUMBER)
    move(messages[3:4], Status.REFUSED, Reason.TEXT_FORBIDDEN)
    errors = figures.reasons(mailing, figures.ERROR)
    assert [(each.reason, each.count) for each in errors] == [
        ("no_such_number", 3),
        ("text_forbidden", 1),
    ]
    assert errors[0].about == Reason.NO_SUCH_NUMBER.about
    # Maria herself has no phone.
    skipped = figures.reasons(mailing, figures.SKIPPED)
    assert [(each.reason, each.count) for each in skipped] == [("forbidden", 2), ("no_phone", 1)]


def test_a_page_goes_on_exactly_where_the_one_before_ended(db: None) -> None:
    made = [mailing_factories.draft(name=str(number)).pk for number in range(paging.PAGE * 2 + 1)]
    seen: list[int] = []
    before = ""
    while True:
        page = paging.page_of(Mailing.objects.listed(), before)
        seen += [row.pk for row in page.rows]
        if page.older is None:
            break
        before = str(page.older)
    assert seen == made[::-1]


@pytest.mark.parametrize("before", ["abc", "x", "-1", "9" * 30, "9" * 5000, "٣", "\0"])
def test_there_is_no_page_before_nonsense(db: None, before: str) -> None:
    mailing_factories.draft()
    assert len(paging.page_of(Mailing.objects.listed(), "").rows) == 1
    with pytest.raises(Http404):
        paging.page_of(Mailing.objects.listed(), before)


def test_a_month_is_the_sum_of_what_was_launched_in_it(manager: User) -> None:
    factories.simulator()
    factories.students(4)
    assert figures.month() == figures.Month(0, 0, 0, 0, Decimal(0))
    for days in (1, 29, 31):
        mailing = mailing_factories.prepared(manager)
        rows = list(Message.objects.filter(mailing=mailing, status=Status.WAITING).order_by("id"))
        with transaction.atomic():
            ledger.move([Move(row.pk, Status.ACCEPTED, price=Decimal("2.5")) for row in rows[:3]])
        move(rows[:2], Status.DELIVERED)
        move(rows[3:], Status.REFUSED, Reason.NO_SUCH_NUMBER)
        launched_at = timezone.now() - timedelta(days=days)
        Mailing.objects.filter(pk=mailing.pk).update(launched_at=launched_at)
    month = figures.month()
    assert month == figures.Month(2, handed_over=8, delivered=4, failed=2, price=Decimal(15))
    assert (month.open, month.share) == (2, 50)


def test_the_history_keeps_why_the_system_paused_it(manager: User) -> None:
    factories.simulator()
    factories.student()
    mailing = mailing_factories.launched(manager)
    assert halt(Mailing.objects.all(), mailing.pk, Reason.WAVE_ERRORS)
    transitions.resume(mailing, manager)
    with translation.override("en"):
        said = [(str(event.words), event.by) for event in history.history(mailing)]
        title = str(Reason.WAVE_ERRORS.about.title)
    assert said[:2] == [("Resumed", manager), (f"Paused automatically: {title}", None)]


def test_a_cancelled_mailing_is_over_when_nothing_is_open() -> None:
    mailing = Mailing(state=Mailing.State.CANCELLED)
    for counters, over in [
        (counted(cancelled=3, accepted=1), False),
        (counted(cancelled=3, delivered=1), True),
    ]:
        mailing.counters = counters
        assert figures.is_over(mailing) is over


def move(messages: list[Message], to: Message.Status, reason: str = "") -> None:
    with transaction.atomic():
        ledger.move([Move(message.pk, to, reason) for message in messages])

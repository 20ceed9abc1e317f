"""SMSC's err 250 is no opt-out. Source: the field's report on the providers, finding T2. The rows as the old
table wrote them are made by hand; numbers and people are made up.
"""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from integrations.providers.contract import Outcome
from integrations.reasons import Reason
from mailings.models import Mailing, Message
from mailings.sending import false_opt_outs, receipts
from tests import factories
from tests.mailings import mailing_factories
from users.consent import consent
from users.models import AuditEvent, ConsentEvent, OptOut, Reply, User

pytestmark = pytest.mark.django_db
RAW = "smsc:err 250"
Kind, Source = ConsentEvent.Kind, OptOut.Source


@pytest.fixture
def mailing(owner: User, monkeypatch: pytest.MonkeyPatch) -> Mailing:
    """Six people, taken by SMSC."""
    factories.smsc()
    factories.students(6)
    mailing = mailing_factories.prepared(owner, text="Webinar at six")
    mailing_factories.sent(Outcome.TAKEN)
    return mailing


def as_the_old_table_wrote(*tails: str, raw: str = RAW) -> list[str]:
    """An undelivered message, an opt-out and its line in the book. The phones."""
    phones = [f"+7998000{tail}" for tail in tails]
    rows = Message.objects.filter(phone__in=phones)
    rows.update(status="undelivered", reason="opted_out", raw_code=raw, final_at=timezone.now())
    consent.opt_out_all(phones, Source.PROVIDER)
    return phones


def run(**options: Any) -> str:
    out = StringIO()
    call_command("repair_opt_outs", stdout=out, **options)
    return out.getvalue()


def kinds(phone: str) -> list[tuple[str, str]]:
    lines = ConsentEvent.objects.filter(phone=phone).order_by("id")
    return [(line.kind, line.source) for line in lines]


def test_a_receipt_with_250_silences_nobody(mailing: Mailing, client: Client) -> None:
    message = Message.objects.select_related("batch__account").filter(status="accepted").first()
    assert message is not None
    assert message.batch is not None
    assert message.batch.account is not None
    webhook = f"/hooks/smsc/{message.batch.account.receipt_key}/"
    body = f"id={message.batch.reference}&phone={message.phone[1:]}&status=23&err=250"
    form = "application/x-www-form-urlencoded"
    assert client.post(webhook, body, content_type=form).status_code == 200
    receipts.process_due()
    assert mailing_factories.receipt_outcomes() == ["applied"]
    message.refresh_from_db()
    assert (message.status, message.reason) == ("undelivered", Reason.SETTINGS_FORBID)
    assert message.raw_code == RAW
    assert not OptOut.objects.exists()
    assert not ConsentEvent.objects.exists()


def test_by_default_it_only_tells(mailing: Mailing) -> None:
    as_the_old_table_wrote("0001", "0002")
    said = run()
    assert "found: 2." in said
    assert "mended: 2." in said
    assert "Nothing was changed" in said
    assert OptOut.objects.count() == 2
    assert not AuditEvent.objects.filter(what="opt_outs_repaired").exists()


def test_it_takes_the_opt_outs_back_and_corrects_the_book(mailing: Mailing) -> None:
    phones = as_the_old_table_wrote("0001", "0002")
    assert "taken back: 2." in run(fix=True)
    assert not OptOut.objects.exists()
    for phone in phones:
        assert kinds(phone) == [
            (Kind.OPTED_OUT, Source.PROVIDER),
            (Kind.CORRECTED, Source.PROVIDER),
        ]
    reasons = Message.objects.filter(phone__in=phones).values_list("reason", "status", "raw_code")
    assert set(reasons) == {(Reason.SETTINGS_FORBID, "undelivered", RAW)}
    line = AuditEvent.objects.get(what="opt_outs_repaired")
    assert line.details == {"opt_outs": 2, "by_reply": 0, "messages": 2, "left_out": 0}


def test_a_second_time_changes_nothing(mailing: Mailing) -> None:
    as_the_old_table_wrote("0001")
    run(fix=True)
    before = (ConsentEvent.objects.count(), AuditEvent.objects.count())
    assert "taken back: 0." in run(fix=True)
    assert (ConsentEvent.objects.count(), AuditEvent.objects.count()) == before
    assert "Nothing was changed" not in run()


def test_it_tells_how_many_were_left_out_since(mailing: Mailing, owner: User) -> None:
    as_the_old_table_wrote("0001", "0002")
    mailing_factories.prepared(owner, text="Another")
    assert "left these people out: 2." in run()
    assert "left these people out: 2." in run(fix=True)
    assert (
        mailing_factories.statuses(mailing_factories.prepared(owner, text="A third"))["waiting"]
        == 6
    )


@pytest.mark.parametrize("source", [Source.STAFF, Source.PERSON, Source.REPLY])
def test_who_had_opted_out_otherwise_stays_out(mailing: Mailing, source: OptOut.Source) -> None:
    consent.opt_out("+79980000001", source)
    [phone] = as_the_old_table_wrote("0001")
    run(fix=True)
    assert OptOut.objects.get().source == source
    assert kinds(phone) == [(Kind.OPTED_OUT, source)]
    assert Message.objects.get(phone=phone).reason == Reason.SETTINGS_FORBID


def test_who_wrote_stop_as_well_stays_out_for_that_reason(mailing: Mailing) -> None:
    [phone] = as_the_old_table_wrote("0001")
    Reply.objects.create(phone=phone, text="Стоп!", at=timezone.now(), provider="smsc", key="1")
    assert "“stop” as well: 1." in run(fix=True)
    assert OptOut.objects.get().source == Source.REPLY
    assert kinds(phone)[1:] == [(Kind.CORRECTED, Source.PROVIDER), (Kind.OPTED_OUT, Source.REPLY)]
    run(fix=True)
    assert len(kinds(phone)) == 3


def test_what_is_no_stop_keeps_nobody_out(mailing: Mailing) -> None:
    [phone] = as_the_old_table_wrote("0001")
    Reply.objects.create(phone=phone, text="Stop at six?", at=timezone.now(), provider="x", key="1")
    run(fix=True)
    assert not OptOut.objects.exists()


def test_whom_another_service_calls_opted_out_stays_out(mailing: Mailing, owner: User) -> None:
    [phone] = as_the_old_table_wrote("0001")
    second = mailing_factories.prepared(owner, text="Another", everyone=True)
    Message.objects.filter(mailing=second, phone=phone).update(
        status="refused", reason="opted_out", raw_code="twilio:21610", final_at=timezone.now()
    )
    run(fix=True)
    assert OptOut.objects.get().source == Source.PROVIDER
    assert kinds(phone) == [(Kind.OPTED_OUT, Source.PROVIDER)]


def test_an_opt_out_older_than_the_code_did_not_come_from_it(mailing: Mailing) -> None:
    [phone] = as_the_old_table_wrote("0001")
    OptOut.objects.update(at=timezone.now() - timedelta(days=1))
    run(fix=True)
    assert OptOut.objects.get().phone == phone


def test_whom_250_never_met_is_left_alone(mailing: Mailing) -> None:
    consent.opt_out_all(["+79980000003"], Source.PROVIDER)
    as_the_old_table_wrote("0004", raw="smsc:err 255")
    run(fix=True)
    assert OptOut.objects.count() == 2


def test_it_asks_as_often_for_many_as_for_few(mailing: Mailing) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            false_opt_outs.repair()
        return len(queries)

    as_the_old_table_wrote("0001")
    few = asked()
    as_the_old_table_wrote("0001", "0002", "0003", "0004", "0005")
    assert asked() == few


def test_the_book_shows_the_correction_to_staff(mailing: Mailing, as_: Any, owner: User) -> None:
    student = User.objects.get(phone="+79980000001")
    [phone] = as_the_old_table_wrote("0001")
    ConsentEvent.objects.filter(phone=phone).update(user=student)
    run(fix=True)
    page = as_(owner).get(f"/people/{student.pk}/").content.decode()
    with translation.override("ru"):
        assert str(Kind.CORRECTED.label)[1:] in page

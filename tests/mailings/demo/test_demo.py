"""The demo school on first start, and the demo mailing that runs without a browser."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count

from integrations.routing import routing
from mailings.demo import school
from mailings.management.commands import demo
from mailings.models import Mailing, Message
from mailings.notifications import registry
from mailings.reports import recount
from tests import factories
from users.models import Group, OptOut, User
from users.rights import Right, Role

pytestmark = pytest.mark.only_sqlite

State = Mailing.State


@pytest.mark.django_db
def test_it_makes_a_school_that_looks_alive() -> None:
    out = StringIO()
    call_command("demo_school", stdout=out)
    students = User.objects.filter(role=Role.STUDENT)
    assert students.count() >= 300
    assert students.filter(first_name__regex="[а-я]").count() > 200
    assert students.filter(first_name__regex="[a-z]").count() > 30
    assert students.filter(phone="").exists()
    assert students.exclude(phone="").filter(phone_confirmed_at=None).exists()
    assert students.filter(sms_forbidden=True).exists()
    assert OptOut.objects.exists()
    assert not students.exclude(phone="").exclude(phone__regex=r"^\+7998\d{7}$").exists()
    assert not students.exclude(email__endswith="@example.com").exists()
    assert all(group.people.count() > 50 for group in Group.objects.all())

    assert Mailing.objects.filter(state=State.DONE).count() >= 8
    assert Mailing.objects.filter(state=State.DRAFT).count() == 1
    assert Message.objects.count() > 3000
    found = dict(Message.objects.values_list("status").annotate(Count("id")))
    delivered = found.pop(Message.Status.DELIVERED) / Message.objects.exclude(phone="").count()
    assert 0.7 < delivered < 0.95
    assert set(found) == Message.FINAL - {Message.Status.DELIVERED}
    assert recount.compare() == []


@pytest.mark.django_db
def test_it_tells_who_may_sign_in() -> None:
    out = StringIO()
    call_command("demo_school", stdout=out)
    roles = []
    for email in school.SIGN_INS:
        assert email in out.getvalue()
        person = User.objects.get(email=email)
        assert person.check_password(school.PASSWORD)
        roles.append(person.role)
    assert school.PASSWORD in out.getvalue()
    assert roles == [Role.OWNER, Role.EMPLOYEE, Role.STUDENT]
    assert User.objects.get(email=school.SIGN_INS[1]).may(Right.SEND_MAILINGS)


@pytest.mark.django_db
def test_its_history_is_like_what_the_product_writes() -> None:
    """Every rule that real rows obey, asked of the made-up ones."""
    school.build()
    gone = Message.objects.filter(status__in=[*Message.TAKEN, Message.Status.REFUSED])
    assert not gone.filter(batch=None).exists()
    assert not gone.filter(submitted_at=None).exists()
    assert not Message.objects.filter(final_at=None).exists()
    assert not Message.objects.filter(status__in=Message.TAKEN, price=None).exists()
    skipped = Message.objects.filter(status=Message.Status.SKIPPED)
    of_mailings = skipped.filter(mailing__kind=Mailing.Kind.MAILING)
    assert not of_mailings.exclude(key__startswith="user:").exists()
    assert not skipped.filter(reason="").exists()
    assert not Message.objects.filter(status="delivered").exclude(reason="").exists()
    assert not Message.objects.filter(text__contains="{").exists()
    launched = Mailing.objects.filter(kind=Mailing.Kind.MAILING).exclude(state=State.DRAFT)
    for mailing in launched:
        assert mailing.launched_at is not None
        assert mailing.created_at < mailing.launched_at
        assert mailing.finished_at is not None
        batches = sum(batch.size for batch in mailing.batches.all())
        assert batches == gone.filter(mailing=mailing).count()


@pytest.mark.django_db
def test_its_notifications_have_had_events() -> None:
    school.build()
    for each in registry.every():
        assert registry.is_on(each)
        assert each.counters.delivered > 10
        assert each.counters.failed + each.counters.skipped > 0
    code = Message.objects.filter(mailing__event=registry.PHONE_CODE).exclude(text="")[0]
    assert "••••••" in code.shown
    assert recount.compare() == []


@pytest.mark.django_db
def test_it_leaves_a_database_with_people_alone() -> None:
    factories.student()
    out = StringIO()
    call_command("demo_school", stdout=out)
    assert "nothing was changed" in out.getvalue()
    assert User.objects.count() == 1
    assert not Mailing.objects.exists()
    assert routing.current() is None


@pytest.mark.django_db(transaction=True)
def test_it_sends_a_demo_mailing_to_the_end() -> None:
    out = StringIO()
    call_command("demo", people=120, json=True, stdout=out)
    told = json.loads(out.getvalue())
    assert told["people"] == 120
    assert told["counters"] == told["rows"]
    assert sum(told["rows"].values()) == 120
    assert told["rows"]["delivered"] > 100
    assert told["rows"]["undelivered"] > 0
    assert told["rows"]["refused"] > 0
    assert told["rows"]["waiting"] == told["rows"]["accepted"] == told["rows"]["unknown"] == 0
    assert Mailing.objects.get().state == State.DONE


@pytest.mark.django_db(transaction=True)
def test_it_prints_a_table_for_people_and_runs_beside_the_school() -> None:
    school.build()
    out = StringIO()
    call_command("demo", people=30, stdout=out)
    assert out.getvalue().splitlines()[-1].split() == ["30", "30"]
    assert recount.compare() == []


@pytest.mark.django_db
def test_it_never_sends_through_a_real_service() -> None:
    factories.smsc()
    factories.simulator()
    with pytest.raises(CommandError, match="smsc"):
        call_command("demo", people=5, deadline=1)
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_it_says_so_when_it_is_not_done_in_time() -> None:
    with pytest.raises(CommandError, match="not done in time"):
        call_command("demo", people=5, deadline=0.5, stdout=StringIO())


def test_it_fails_when_the_counters_do_not_equal_the_rows() -> None:
    with pytest.raises(CommandError, match="do not equal"):
        demo.check_totals(1, {"delivered": 2}, {"delivered": 1})
    with pytest.raises(CommandError, match="2 people"):
        demo.check_totals(2, {"delivered": 1}, {"delivered": 1})
    ends = dict.fromkeys(Message.Status.values, 0)
    with pytest.raises(CommandError, match="1 messages are not final"):
        demo.check_totals(1, ends | {"accepted": 1}, ends | {"accepted": 1})


@pytest.mark.django_db
def test_some_of_its_mailings_were_clicked() -> None:
    school.build()
    clicked = Mailing.objects.filter(counters__clicked__gt=0)
    assert clicked.count() >= 4
    for mailing in clicked:
        counters = mailing.counters
        assert counters.clicked < counters.clicks
        assert counters.robots > 0
        assert counters.clicked < counters.delivered / 2
        assert mailing.links.get(position=0).clicked == counters.clicked
    assert (
        not Message.objects.filter(text__contains="https://").filter(mailing__in=clicked).exists()
    )
    assert recount.compare() == []

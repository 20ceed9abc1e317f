"""What people write back: who wrote it, once, and whether it means that they want no more."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import factories
from users.consent import consent, replies
from users.consent.replies import Written
from users.models import ConsentEvent, OptOut, Reply, User

pytestmark = pytest.mark.django_db
PHONE = "+79980000007"
AT = datetime(2026, 2, 1, 7, 11, tzinfo=UTC)


def wrote(text: str, **fields: Any) -> Written:
    fields.setdefault("key", f"key of {text} {fields}"[:64])
    given: dict[str, Any] = {"phone": PHONE, "text": text, "at": AT, "provider": "smsc"}
    return Written(**given | fields)


@pytest.mark.parametrize(
    ("text", "stop"),
    [
        ("стоп", True),
        ("СТОП!", True),
        (" «Стоп». ", True),
        ("Отписка", True),
        ("отпишите меня", True),
        ("STOP", True),
        ("Stop.", True),
        ("stop  all", True),
        ("unsubscribe", True),
        ("Opt-out", True),
        ("we have got to STOP this bill", False),
        ("не стоп", False),
        ("стоп стоп", True),
        ("nonstop", False),
        ("да", False),
        ("", False),
        ("...", False),
        ("stop" * 1000, False),
    ],
)
def test_a_refusal_is_the_whole_answer(text: str, stop: bool) -> None:
    assert replies.is_stop(text) is stop
    replies.keep([wrote(text)])
    assert OptOut.objects.filter(phone=PHONE, source="reply").exists() is stop


def test_a_reply_is_the_first_persons_who_has_the_phone() -> None:
    first = factories.person("anna", phone=PHONE)
    factories.person("boris", phone=PHONE)
    replies.keep([wrote("yes"), wrote("who are you", phone="+79980000008")])
    assert list(Reply.objects.order_by("phone").values_list("user", "text", "at", "provider")) == [
        (first.id, "yes", AT, "smsc"),
        (None, "who are you", AT, "smsc"),
    ]


def test_a_reply_that_is_told_again_changes_nothing() -> None:
    assert replies.keep([wrote("stop", key="one"), wrote("stop", key="one")]) == {"one"}
    consent.opt_in(PHONE, OptOut.Source.PERSON)
    assert replies.keep([wrote("stop", key="one")]) == set()
    assert Reply.objects.count() == 1
    assert not OptOut.objects.exists()


def test_the_book_of_consent_says_who_opted_out_how() -> None:
    anna = factories.person("anna", phone=PHONE)
    replies.keep([wrote("stop")])
    event = ConsentEvent.objects.get()
    assert (event.user, event.phone, event.kind, event.source) == (
        anna,
        PHONE,
        "opted_out",
        "reply",
    )


def test_the_service_may_have_read_it_itself() -> None:
    replies.keep([wrote("quit", stop=True)])
    assert OptOut.objects.get().source == "reply"
    replies.keep([wrote("start", stop=False)])
    assert not OptOut.objects.exists()
    assert ConsentEvent.objects.latest("id").kind == "opted_in"


def test_the_last_word_counts() -> None:
    replies.keep([wrote("stop", stop=True), wrote("start", stop=False)])
    assert not OptOut.objects.exists()
    replies.keep([wrote("start", stop=False, key="3"), wrote("stop", stop=True, key="4")])
    assert OptOut.objects.exists()


@pytest.mark.parametrize("source", ["staff", "person"])
def test_start_takes_back_only_what_was_said_by_sms(source: str) -> None:
    consent.opt_out(PHONE, OptOut.Source(source))
    replies.keep([wrote("start", stop=False)])
    assert OptOut.objects.get().source == source


@pytest.mark.parametrize("phone", ["", "+", "Bank", "+7998000000x", "+٧٩٩٨٠٠٠٠٠٠٧", "+7" * 20])
def test_what_comes_from_no_phone_is_nobodys(phone: str) -> None:
    assert replies.keep([wrote("stop", phone=phone)]) == set()
    assert not Reply.objects.exists()


def test_any_text_can_be_kept() -> None:
    replies.keep([wrote("a\0b \ud83d end", key="1"), wrote("x" * 5000)])
    assert [len(text) for text in Reply.objects.order_by("id").values_list("text", flat=True)] == [
        9,
        2000,
    ]


def test_they_stand_on_the_pages_of_all_who_have_the_phone_the_newest_first(
    as_: Callable[[User], Client], manager: User, settings: Any
) -> None:
    settings.LANGUAGE_CODE = "en"
    anna, boris = (factories.person(name, phone=PHONE) for name in ("anna", "boris"))
    stranger = factories.person("petr", phone="+79980000008")
    later = [AT + timedelta(hours=n) for n in range(25)]
    replies.keep([wrote(f"<b>reply {n}</b>", at=at) for n, at in enumerate(later)])
    User.objects.filter(pk=anna.pk).update(phone="+79980000009")  # what she wrote stays hers
    client = as_(manager)
    for person in (anna, boris):
        page = client.get(f"/people/{person.pk}/").content.decode()
        shown = re.findall(r"&lt;b&gt;reply (\d+)", page)
        assert shown == [str(n) for n in range(24, 4, -1)]
    assert "Replies by SMS" not in client.get(f"/people/{stranger.pk}/").content.decode()


def test_a_person_without_a_phone_has_no_replies_of_others(manager: User) -> None:
    replies.keep([wrote("yes")])
    assert replies.replies_of(manager) == []


def test_a_hundred_replies_take_as_many_queries_as_one() -> None:
    def queries_of(count: int, start: int) -> int:
        with CaptureQueriesContext(connection) as taken:
            replies.keep(
                [
                    wrote("stop" if n % 2 else "start", phone=f"+7998{n:07}", key=str(n), stop=None)
                    for n in range(start, start + count)
                ]
            )
        return len(taken)

    assert queries_of(2, 0) == queries_of(100, 10)

"""Values of every kind reach the rows that the statements name, whatever characters they contain."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from mailings.models import Mailing, Message
from mailings.sending import bulk
from mailings.sending.bulk import Learnt, MessageChange
from tests import factories
from tests.mailings import mailing_factories
from users.models import User

AT = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
WORDS = ['a"b', "a\\b", "{a,b}", "a'b%s", "NULL", "null", "", " ", "ü–👍", "\\", '"', ","]


@pytest.fixture
def mailing(owner: User) -> Mailing:
    factories.simulator()
    factories.students(len(WORDS))
    return mailing_factories.prepared(owner)


def test_many_different_changes_arrive_as_they_are(mailing: Mailing) -> None:
    keys = list(mailing.messages.order_by("id").values_list("id", flat=True))[: len(WORDS)]
    assert len(WORDS) > bulk.FEW
    changes = {
        MessageChange("accepted", "other", word, word, Decimal(f"{n}.5"), None, AT, None): [key]
        for n, (key, word) in enumerate(zip(keys, WORDS, strict=True))
    }
    bulk.change_messages(changes)
    rows = Message.objects.filter(id__in=keys).order_by("id")
    assert [(each.raw_code, each.provider_id) for each in rows] == [(w, w) for w in WORDS]
    assert [each.price for each in rows] == [Decimal(f"{n}.5") for n in range(len(WORDS))]
    assert {each.submitted_at for each in rows} == {AT}


def test_a_few_equal_changes_give_the_same_rows(mailing: Mailing) -> None:
    keys = list(mailing.messages.order_by("id").values_list("id", flat=True))[:4]
    bulk.change_messages(
        {
            MessageChange("accepted", "", 'a"b', "id", Decimal("2.5"), None, AT, None): keys[:2],
            MessageChange("refused", "other", "", "", None, None, None, AT): keys[2:],
        }
    )
    bulk.change_messages(
        {MessageChange("delivered", "", "", "", None, None, AT.replace(year=2027), AT): keys[:1]}
    )
    first, second, third, _ = Message.objects.filter(id__in=keys).order_by("id")
    assert (first.status, first.provider_id, first.price) == ("delivered", "id", Decimal("2.5"))
    assert (first.submitted_at, first.final_at) == (AT, AT)  # written once
    assert (second.raw_code, second.submitted_at, second.final_at) == ('a"b', AT, None)
    assert (third.status, third.reason, third.price, third.final_at) == (
        "refused",
        "other",
        None,
        AT,
    )


def test_what_is_looked_for_is_found_by_its_very_characters(mailing: Mailing) -> None:
    message = mailing.messages.exclude(batch=None)[0]
    for word in WORDS:
        Message.objects.filter(id=message.pk).update(key=word, phone=word[:16])
        assert bulk.keys_taken(mailing.pk, [*WORDS, "other"]) & {word, "other"} == {word}
        assert message.batch_id
        pairs = [(message.batch_id, each) for each in dict.fromkeys(WORDS)]
        assert message.pk in {
            found.id for found in bulk.find_messages(pairs) if found.phone == word
        }


def test_ids_and_prices_are_learnt_only_where_they_are_missing(mailing: Mailing) -> None:
    first, second = mailing.messages.order_by("id").values_list("id", flat=True)[:2]
    Message.objects.filter(id=first).update(provider_id="known", price=1)
    bulk.learn([Learnt(first, "new", Decimal(2)), Learnt(second, 'n"e\\w', None)])
    assert list(
        Message.objects.filter(id__in=[first, second])
        .order_by("id")
        .values_list("provider_id", "price")
    ) == [("known", Decimal(1)), ('n"e\\w', None)]

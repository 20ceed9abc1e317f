"""What the question before a launch says: the figures of the composer, and that it went out lately."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import Account
from mailings.models import Mailing
from tests import factories
from tests.mailings import mailing_factories
from users.models import Group, Segment, User

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture(autouse=True)
def account(db: None) -> Account:
    return factories.simulator(price=Decimal("2.5"))


def text_of(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def dialog(client: Client, draft: Mailing) -> str:
    return text_of(client.get(reverse("mailing-launch", args=[draft.pk])))


TEXTS = ["Short", "x" * 150 + "{first_name}", "Привет, {first_name}! " + "о" * 60, "{last_name|x}"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("count", [3, 1500])
def test_the_figures_are_those_of_the_composer(
    as_: As, manager: User, text: str, count: int
) -> None:
    """Also where they are reckoned from a sample."""
    factories.students(count)
    factories.person("max", first_name="M" * 40, phone="+79980900000")
    typed = {"name": "Lesson", "text": text, "recipients": "everyone"}
    composed = as_(manager).post("/mailings/meter/", typed)
    draft = mailing_factories.draft(text=text)
    asks = as_(manager).get(reverse("mailing-launch", args=[draft.pk]))
    figures = [page.context["preview"] for page in (composed, asks)]
    assert figures[0].parts == figures[1].parts
    assert figures[0].price == figures[1].price
    assert figures[0].funnel.will_receive == figures[1].funnel.will_receive == count + 1
    line = re.search(r"SMS parts for everybody (?:about )?[\d,]+", text_of(composed))
    assert line is not None
    assert line[0] in text_of(asks)


def test_it_names_the_longest_and_the_parts_of_all(as_: As, manager: User) -> None:
    factories.students(3)
    factories.person("max", first_name="M" * 40, phone="+79980900000")
    asks = dialog(as_(manager), mailing_factories.draft(text="x" * 130 + "{first_name}"))
    assert f"The longest, for {'M' * 40} 2 parts" in asks
    assert "SMS parts for everybody 5" in asks
    assert "Price, about 12.50 ₽" in asks
    assert "each" not in asks


def test_the_same_text_lately_is_pointed_out_where_one_decides(as_: As, manager: User) -> None:
    factories.students(2)
    first = mailing_factories.launched(manager, name="Yesterday's", text="At six")
    draft = mailing_factories.draft(text="At  six")
    at = f"{timezone.localtime(first.launched_at):%m/%d/%Y}"
    for name in ("mailing", "mailing-launch"):
        page = as_(manager).get(reverse(name, args=[draft.pk]))
        assert "The same text went to the same people lately" in text_of(page), name
        assert f"Yesterday&#x27;s , {at}" in text_of(page), name
        assert f'href="{reverse("mailing", args=[first.pk])}"' in page.content.decode()
    other = mailing_factories.draft(text="At seven")
    assert "lately" not in dialog(as_(manager), other)
    assert "lately" not in text_of(as_(manager).get(reverse("mailing", args=[other.pk])))


def seen(client: Client, draft: Mailing) -> dict[str, str]:
    """What the question's form posts."""
    page = client.get(reverse("mailing-launch", args=[draft.pk])).content.decode()
    return dict(re.findall(r'<input type="hidden" name="(seen|confirms)" value="([^"]*)"', page))


def omsk(city: str = "Omsk") -> dict[str, Any]:
    return {"version": 1, "all": [{"field": "city", "op": "is", "value": city}]}


@pytest.mark.parametrize("what", ["text", "groups", "rule", "a rule inside", "time", "confirmed"])
def test_what_changed_after_it_was_looked_at_does_not_leave(
    as_: As, manager: User, what: str
) -> None:
    person = factories.student(city="Omsk", phone_confirmed_at=timezone.now())
    segment = Segment.objects.create(name="Omsk", rule=omsk())
    outer = Segment.objects.create(name="Inside", rule={"version": 1, "segment": segment.pk})
    chosen = {"rule": segment, "a rule inside": outer}.get(what)
    draft = mailing_factories.draft(everyone=False, segment=chosen)
    for name in ("Morning", "Evening"):
        group = Group.objects.create(name=name)
        mailing_factories.join(group, person)
        draft.groups.add(group)
    client = as_(manager)
    form = seen(client, draft)
    stored = Mailing.objects.filter(pk=draft.pk)
    match what:
        case "text":
            stored.update(text="Something else")
        case "groups":
            group.delete()
        case "rule" | "a rule inside":
            Segment.objects.filter(pk=segment.pk).update(
                rule={"version": 1, "not": omsk("Tomsk")["all"][0]}
            )
        case "time":
            stored.update(starts_at=timezone.now() + timedelta(days=1))
        case "confirmed":
            stored.update(only_confirmed=True)
    address = reverse("mailing-launch", args=[draft.pk])
    page = text_of(client.post(address, form, follow=True))
    assert "It was changed after you had looked it over." in page
    assert stored.get().state == Mailing.State.DRAFT
    client.post(address, seen(client, draft))
    assert stored.get().state != Mailing.State.DRAFT


def test_a_second_person_confirms_what_was_asked_for_whatever_the_segment_says_now(
    as_: As, manager: User, owner: User
) -> None:
    factories.student(city="Omsk")
    mailing_factories.policy(two_people_above=0)
    segment = Segment.objects.create(name="Omsk", rule=omsk())
    draft = mailing_factories.draft(everyone=False, segment=segment)
    address = reverse("mailing-launch", args=[draft.pk])
    client = as_(manager)
    client.post(address, seen(client, draft))
    client = as_(owner)
    form = seen(client, draft)
    Segment.objects.update(rule=omsk("Tomsk"))
    client.post(address, form)
    draft.refresh_from_db()
    assert (draft.state, draft.rule) == (Mailing.State.PREPARING, omsk())

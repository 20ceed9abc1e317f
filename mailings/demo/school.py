"""A made-up school for the first start: people, groups, and months of finished mailings.

This history never happened: only the demo writes messages and their statuses straight into the
database instead of through the ledger. recount then counts them.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.models import Account
from integrations.providers import simulator
from integrations.reasons import Reason
from integrations.routing import accounts
from mailings.audience import audience
from mailings.audience.personalization import as_launched, values_of
from mailings.models import Batch, Mailing, Message
from mailings.reports import recount
from mailings.text import template as text
from users.access import public_password
from users.models import AuditEvent, ConsentEvent, Group, Membership, OptOut, User
from users.rights import Right, Role

from . import clicks as demo_clicks
from . import fates, notifications, words
from .fates import PRICE
from .words import Story

Status = Message.Status
PEOPLE = 420
PASSWORD, SIGN_INS = public_password.PASSWORD, public_password.SIGN_INS
MANAGER_RIGHTS = [
    Right.SEE_PEOPLE,
    Right.EDIT_PEOPLE,
    Right.FORBID_SMS,
    Right.SEE_MAILINGS,
    Right.EDIT_MAILINGS,
    Right.SEND_MAILINGS,
]
BATCH = 100


@dataclass(frozen=True, slots=True)
class School:
    """What every story needs."""

    manager: User
    groups: dict[str, Group]
    account: Account
    dice: random.Random


@transaction.atomic
def build() -> str:
    """Make the school and return the password of those who sign in. If there are people already,
    return '' and change nothing.
    """
    if User.objects.exists():
        return ""
    password = public_password.fresh()
    dice = random.Random(2026)  # noqa: S311 - the same school every time
    now = timezone.now()
    owner, manager, student = _who_signs_in(password, now)
    people = [student, *_people(dice, now)]
    _refusals(dice, people, manager, now)
    account = accounts.connect(
        simulator.Simulator.slug, {"on": "yes"}, sender="School", price=PRICE, by=owner
    )
    school = School(manager, _groups(dice, people), account, dice)
    past = (*words.STORIES, words.STOPPED)
    for story in sorted(past, key=lambda story: -story.days_ago):
        _tell(school, story, stopped=story is words.STOPPED)
    _mailing(school, words.DRAFT, now - timedelta(hours=20))
    notifications.tell(people[1:], manager, account, dice)
    return password


# --- people -----------------------------------------------------------------------------------
def _who_signs_in(password: str, now: datetime) -> tuple[User, User, User]:
    known: dict[str, Any] = {
        "date_joined": now - timedelta(days=430),
        "phone_confirmed_at": now - timedelta(days=430),
    }
    return (
        User.objects.create_user(
            SIGN_INS[0],
            password,
            first_name="Ольга",
            last_name="Ветрова",
            role=Role.OWNER,
            phone="+79980001212",
            **known,
        ),
        User.objects.create_user(
            SIGN_INS[1],
            password,
            first_name="Мария",
            last_name="Лугова",
            role=Role.EMPLOYEE,
            rights=[str(right) for right in MANAGER_RIGHTS],
            phone="+79980002323",
            **known,
        ),
        User.objects.create_user(
            SIGN_INS[2],
            password,
            first_name="Иван",
            last_name="Полевой",
            phone="+79980003434",
            **known,
        ),
    )


def _people(dice: random.Random, now: datetime) -> list[User]:
    phones = dice.sample(range(10_000, 10_000_000), PEOPLE)
    people = [_person(dice, now, f"+7998{phone:07}") for phone in phones]
    seen: dict[str, int] = {}
    for person in people:
        same = seen[person.email] = seen.get(person.email, 0) + 1
        person.email = f"{person.email}{same if same > 1 else ''}@example.com"
    for parent, child in zip(people[::80], people[40::80], strict=False):
        child.phone = parent.phone  # families share a phone
    for person in people:
        person.prepare_for_saving()
    return User.objects.bulk_create(people)


def _person(dice: random.Random, now: datetime, phone: str) -> User:
    russian = dice.random() < 0.82
    if russian:
        woman = dice.random() < 0.65
        first = dice.choice(words.WOMEN if woman else words.MEN)
        last = dice.choice(words.SURNAMES) + ("а" if woman else "")
        city, time_zone = dice.choice(list(words.CITIES.items()))
    else:
        first = dice.choice(words.ENGLISH_NAMES)
        last = dice.choice(words.ENGLISH_SURNAMES)
        city, time_zone = dice.choice(list(words.ENGLISH_CITIES.items()))
    joined = now - timedelta(days=dice.triangular(2, 420, 300), minutes=dice.randrange(1440))
    has_phone = dice.random() < 0.94
    confirmed = has_phone and dice.random() < 0.8
    return User(
        # _people() completes it.
        email=".".join(_latin(word) for word in (first, last)),
        # Some people never gave their name: a fallback is for them.
        first_name=first if dice.random() < 0.97 else "",
        last_name=last,
        password="!",  # noqa: S106 - nobody can sign in with it
        phone=phone if has_phone else "",
        phone_confirmed_at=joined + timedelta(minutes=3) if confirmed else None,
        date_joined=joined,
        language="ru" if russian else "en",
        time_zone=time_zone,
        city=city,
    )


def _latin(word: str) -> str:
    return word.lower().translate(words.LATIN)


def _groups(dice: random.Random, people: Sequence[User]) -> dict[str, Group]:
    groups = {group: Group.objects.create(name=group) for group in words.GROUPS}
    Membership.objects.bulk_create(
        Membership(user_id=person.id, group_id=groups[name].id)
        for name, share in words.GROUPS.items()
        for person in people
        if dice.random() < share
    )
    return groups


def _refusals(dice: random.Random, people: Sequence[User], manager: User, now: datetime) -> None:
    """Forbid SMS for a few people, and opt out a few phones."""
    refusing = dice.sample([person for person in people[1:] if person.phone], 20)
    events = []
    for person in refusing[:8]:
        person.sms_forbidden = True
        person.sms_forbidden_by = manager
        person.sms_forbidden_at = now - timedelta(days=dice.uniform(3, 200))
        events.append(
            ConsentEvent(
                user=person,
                phone=person.phone,
                kind=ConsentEvent.Kind.FORBIDDEN,
                by=manager,
                source=OptOut.Source.STAFF,
                at=person.sms_forbidden_at,
            )
        )
    User.objects.bulk_update(
        refusing[:8], ["sms_forbidden", "sms_forbidden_by", "sms_forbidden_at"]
    )
    for person in refusing[8:]:
        events.append(
            ConsentEvent(
                user=person,
                phone=person.phone,
                kind=ConsentEvent.Kind.OPTED_OUT,
                source=OptOut.Source.REPLY,
                at=now - timedelta(days=dice.uniform(3, 200)),
            )
        )
    OptOut.objects.bulk_create(
        OptOut(phone=event.phone, source=event.source, at=event.at) for event in events[8:]
    )
    ConsentEvent.objects.bulk_create(sorted(events, key=lambda event: event.at))


# --- mailings ---------------------------------------------------------------------------------
def _mailing(school: School, story: Story, at: datetime) -> Mailing:
    mailing = Mailing.objects.create(
        name=story.name,
        text=story.text.replace("HOME", settings.PUBLIC_URL),
        wrap_links=story.wrapped,
        links_sign_in="HOME" in story.text,
        everyone=not story.group,
        only_confirmed=story.only_confirmed,
        created_at=at,
        created_by=school.manager,
    )
    if story.group:
        mailing.groups.add(school.groups[story.group])
    return mailing


def _tell(school: School, story: Story, *, stopped: bool = False) -> None:
    """Write one mailing as if it had been launched then, and its messages with their results."""
    dice = school.dice
    day = timezone.localtime() - timedelta(days=story.days_ago)
    launched = day.replace(hour=dice.randrange(10, 19), minute=dice.randrange(60))
    mailing = _mailing(school, story, launched - timedelta(minutes=dice.randrange(9, 99)))
    people = audience.people(mailing).filter(date_joined__lt=launched).order_by("id")
    chosen = [audience.Candidate(*row) for row in people.values_list(*audience.Candidate._fields)]
    messages = _messages(mailing, chosen, launched)
    going = [message for message in messages if message.status == Status.WAITING]
    if stopped:
        going, left = going[:BATCH], going[BATCH:]
        for message in left:
            fates.end(message, Status.CANCELLED, launched + timedelta(seconds=20), Reason.CANCELLED)
    _hand_over(mailing, school.account, going, launched)
    for message in going:
        fates.meet(message, dice)
    clicks = demo_clicks.clicks(mailing, messages, dice)
    Message.objects.bulk_create(messages)
    demo_clicks.write_down(mailing, clicks)
    mailing.state = Mailing.State.CANCELLED if stopped else Mailing.State.DONE
    mailing.launched_at = launched
    mailing.launched_by = school.manager
    mailing.cursor = mailing.ceiling = chosen[-1].id
    mailing.prepared_at = launched + timedelta(seconds=2)
    mailing.finished_at = max(each.final_at for each in messages if each.final_at)
    mailing.save()
    recount.repair(mailing.id)
    AuditEvent.objects.create(
        by=school.manager, what="launched", target=f"mailing {mailing.id}", at=launched
    )


def _messages(
    mailing: Mailing, chosen: Sequence[audience.Candidate], launched: datetime
) -> list[Message]:
    """Return a row for everybody, as prepare.py writes them."""
    template = as_launched(mailing.text, mailing.wrapping)
    phones: set[str] = set()
    messages = []
    for each in chosen:
        message = Message(mailing=mailing, user_id=each.id, phone=each.phone)
        why_not = each.why_not or (Reason.SAME_PHONE if each.phone in phones else "")
        if why_not:
            message.key = f"user:{each.id}"
            fates.end(message, Status.SKIPPED, launched, why_not)
        else:
            phones.add(each.phone)
            values = values_of(each)
            message.key = each.phone
            message.text = text.render(template, values)
            message.parts = text.parts_of(message.shown)
            message.status = Status.WAITING
        messages.append(message)
    return messages


def _hand_over(
    mailing: Mailing, account: Account, going: Sequence[Message], launched: datetime
) -> None:
    groups = [going[start : start + BATCH] for start in range(0, len(going), BATCH)]
    batches = Batch.objects.bulk_create(
        Batch(
            mailing=mailing,
            state=Batch.State.ANSWERED,
            size=len(group),
            not_before=launched,
            account=account,
            reference=Batch.new_reference(),
            claimed_at=launched + timedelta(seconds=3 + number),
            answered_at=launched + timedelta(seconds=4 + number),
        )
        for number, group in enumerate(groups)
    )
    for batch, group in zip(batches, groups, strict=True):
        for message in group:
            message.batch = batch
            message.submitted_at = batch.answered_at

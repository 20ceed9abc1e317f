"""The made-up people and things that tests use: plain functions that write rows."""

from typing import Any

from integrations.models import Account
from smsmail.jobs.periodic import PERIODIC_JOBS
from smsmail.models import Heartbeat
from users.models import User
from users.rights import Right, Role

PASSWORD = "a long made-up password"


def owner(**fields: Any) -> User:
    return person("olga", role=Role.OWNER, **fields)


def administrator(**fields: Any) -> User:
    return person("anton", role=Role.ADMINISTRATOR, **fields)


def manager(**fields: Any) -> User:
    rights = [
        Right.SEE_PEOPLE,
        Right.EDIT_PEOPLE,
        Right.FORBID_SMS,
        Right.SEE_MAILINGS,
        Right.EDIT_MAILINGS,
        Right.SEND_MAILINGS,
    ]
    return person("maria", role=Role.EMPLOYEE, rights=[str(right) for right in rights], **fields)


def employee(**fields: Any) -> User:
    return person("egor", role=Role.EMPLOYEE, **fields)


def student(**fields: Any) -> User:
    return person("ivan", role=Role.STUDENT, phone="+79980000001", **fields)


def person(name: str, **fields: Any) -> User:
    """A person with a password, found by e-mail name@example.com."""
    fields.setdefault("first_name", name.capitalize())
    return User.objects.create_user(f"{name}@example.com", PASSWORD, **fields)


def students(count: int, *, start: int = 0, digits: str = "", **fields: Any) -> list[User]:
    """Many students with distinct made-up phones in one statement; the phones end with digits."""
    made = []
    for number in range(start, start + count):
        tail = f"{number:0{7 - len(digits)}}{digits}"
        user = User(
            email=f"student{number}@example.com",
            first_name=f"Student{number}",
            phone=f"+7998{tail}",
            password="!",
            **fields,
        )
        user.prepare_for_saving()
        made.append(user)
    return User.objects.bulk_create(made, batch_size=5000)


def working() -> None:
    """Every job of the clock has just left a heartbeat."""
    Heartbeat.objects.all().delete()
    Heartbeat.objects.bulk_create(Heartbeat(job=job.name) for job in PERIODIC_JOBS)


def simulator(**fields: Any) -> Account:
    """A connected account of the simulator."""
    return Account.objects.create(
        provider="simulator", credentials={"on": "yes"}, parallel=4, **fields
    )


def seventech(**fields: Any) -> Account:
    """A connected account at SevenTech, with what the emulator expects."""
    fields.setdefault("credentials", {"login": "school", "password": "made-up"})
    return Account.objects.create(
        provider="seventech", sender="School", parallel=2, price="3", **fields
    )


def smsc(**fields: Any) -> Account:
    """A connected account at SMSC; settings.PROVIDER_URLS["smsc"] says where the emulator is."""
    fields.setdefault("credentials", {"login": "school", "password": "made-up"})
    return Account.objects.create(
        provider="smsc", sender="School", parallel=4, price="2.5", **fields
    )


def twilio(**fields: Any) -> Account:
    """A connected account at Twilio, as the emulator knows it."""
    fields.setdefault(
        "credentials", {"account_sid": "AC" + "0123456789abcdef" * 2, "auth_token": "made-up-token"}
    )
    return Account.objects.create(provider="twilio", sender="School", parallel=2, **fields)

"""Goals of the pages: server time of every address of the project at 5,000,000 messages and 1,000,000 people. The
addresses are taken from the URL configuration, so a new page is measured too.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.core.cache import cache
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from benchmarks import school
from benchmarks.cost import answer
from benchmarks.goals import Measured
from benchmarks.lane import percentile
from benchmarks.once import once
from benchmarks.options import size
from integrations.models import Account
from mailings.models import Counters, Mailing, Message, SavedText
from users.models import Group, OwnField, Segment, User

TIMES = 5  # each address is asked so often
MESSAGES = 5  # for each person
RULE = {
    "name": "Known",
    "n-match": "all",
    "n-size": "1",
    "n-0-field": "phone",
    "n-0-op": "confirmed",
    "n-0-value": "",
    "n-0-value2": "",
}
FORM = {"name": "x", "text": school.TEXT, "recipients": "everyone"}
# Addresses that take only a POST and change nothing, or nothing but a draft.
POSTED: dict[str, dict[str, str]] = {
    "mailing-meter": FORM,
    "mailing-fix": FORM,
    "mailing-autosave": FORM,
    "notification-meter": FORM,
    "notification-meter-new": FORM,
    "segment-rule": RULE,
    "segment-count": RULE,
}
# Pages in other forms than their address alone shows; {people} is a person in the middle of the list.
VARIANTS = (
    "/people/?before={middle}",
    "/people/?group={group}",
    "/people/?only=no-phone",
    "/people/?q=лазарева",
    "/people/?q=person123456",
    "/people/?q=%2B7998012345",
    "/people/?q=12345",
    "/people/?q=ъъъъ",
    "/mailings/{draft}/?count=1",
    "/mailings/{draft}/audience/?reason=opted_out",
    "/mailings/{sent}/recipients/?status=undelivered",
    "/mailings/{sent}/recipients/?status=refused",
    "/mailings/{sent}/recipients/?q=12345",
    "/segments/{segment}/?count=1",
)


class Time(NamedTuple):
    """Seconds of one answer."""

    cpu: float  # the mean, ours and PostgreSQL's
    wall: float  # the least


@dataclass(frozen=True, slots=True)
class Page:
    address: str
    status: int
    first: Time  # with nothing remembered
    again: Time


def addresses() -> Measured:
    owner, _ = _school()
    # A 405, and /health/ready/ without a worker, are no news here.
    logging.getLogger("django.request").setLevel(logging.CRITICAL)
    client = Client(headers={"host": "localhost"})
    client.raise_request_exception = False
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    print(f"\n{'CPU ms (by wall)':72}{'status':>7}{'first':>18}{'again':>18}")
    pages, not_asked = [], 0
    for address, ask in _asked(client):
        page = _timed(address, ask)
        if page.status == 405:  # it changes something
            not_asked += 1
            continue
        pages.append(page)
        times = f"{_shown(page.first):>18}{_shown(page.again):>18}"
        print(f"{page.address[:71]:72}{page.status:7}{times}", flush=True)
    if failed := [page.address for page in pages if page.status == 500]:
        raise AssertionError(f"server errors: {', '.join(failed)}")
    slow = sorted((page for page in pages if page.first.cpu > 0.1), key=lambda p: -p.first.cpu)
    told = ", ".join(f"{page.address} {page.first.cpu * 1000:.0f}" for page in slow)
    return Measured(
        _p95([page.first.cpu for page in pages]),
        {
            "addresses": len(pages),
            "over 100 ms": told or "none",
            "ms by wall": _p95([page.first.wall for page in pages]),
            "ms again": _p95([page.again.cpu for page in pages]),
            "not asked, because a POST changes something": not_asked,
        },
    )


def counters() -> Measured:
    _, sent = _school()

    def read() -> object:
        return Counters.objects.get(mailing=sent)

    read()
    taken = Time(*answer(read, 500))
    return Measured(taken.cpu * 1000, {"ms by wall": taken.wall * 1000})


@once
def _school() -> tuple[User, Mailing]:
    people = size(1_000_000, 1_000_000)
    owner = school.fill(people)
    school.fill_up(MESSAGES * people, owner)
    counts = f"{Message.objects.count():,} messages, {User.objects.count():,} people"
    print(counts)
    return owner, Mailing.objects.earliest("id")


def _asked(client: Client) -> Iterator[tuple[str, Callable[[], Any]]]:
    things = _things()
    for pattern in _patterns():
        name = pattern.name or ""
        address = _address(name, things)
        if address is None:
            print(f"{name:72}  no example for its address")
        elif name in POSTED:
            yield f"POST {address}", _posting(client, address, POSTED[name])
        else:
            yield address, _getting(client, address)
    middle = User.objects.latest("id").pk // 2
    known = {"middle": middle, "group": things["group"]["pk"], "segment": things["segment"]["pk"]}
    known |= {"draft": things["mailing-edit"]["pk"], "sent": things["mailing"]["pk"]}
    for variant in VARIANTS:
        address = variant.format(**known)
        yield address, _getting(client, address)


def _things() -> dict[str, dict[str, Any]]:
    """Return what stands behind each address: arguments by the beginning of its name."""
    account = Account.objects.create(
        provider="simulator", credentials={"on": "yes"}, price=3, parallel=4
    )
    draft = Mailing.objects.create(name="Draft", text=school.TEXT, everyone=True)
    on_entry = Mailing.objects.create(
        name="On entry", text=school.TEXT, everyone=True, when=Mailing.When.ON_ENTRY
    )
    notification = Mailing.objects.create(
        kind=Mailing.Kind.NOTIFICATION, name="Paid", event="paid", text="Paid", state="cancelled"
    )
    Counters.objects.create(mailing=notification)
    sent = Mailing.objects.earliest("id")
    drafted = ("edit", "audience", "launch", "delete", "autosave", "test")
    return {
        "person": {"pk": User.objects.latest("id").pk // 2},
        "group": {"pk": Group.objects.earliest("id").pk},
        "segment": {"pk": Segment.objects.earliest("id").pk},
        "own-field": {"pk": OwnField.objects.earliest("id").pk},
        "mailing": {"pk": sent.pk},
        **{f"mailing-{each}": {"pk": draft.pk} for each in drafted},
        **{f"mailing-{each}": {"pk": on_entry.pk} for each in ("foresight", "would-get")},
        "notification": {"pk": notification.pk},
        "message": {"pk": Message.objects.latest("id").pk // 2},
        "saved-text": {"pk": SavedText.objects.create(name="Text", text="Hello").pk},
        "integration": {"slug": "simulator"},
        "echo": {"challenge": "abc"},
        "short-link": {"token": "abc"},
        "set-password": {"token": "abc"},
        "receipt-door": {"slug": "simulator", "key": account.receipt_key},
    }


def _address(name: str, things: dict[str, dict[str, Any]]) -> str | None:
    for start in (name, name.removesuffix("-delete"), name.partition("-")[0]):
        try:
            return reverse(name, kwargs=things.get(start, {}))
        except NoReverseMatch:
            continue
    try:
        return reverse(name)
    except NoReverseMatch:
        return None


def _patterns(resolver: URLResolver | None = None) -> Iterator[URLPattern]:
    for each in (resolver or get_resolver()).url_patterns:
        if isinstance(each, URLResolver):
            yield from _patterns(each)
        else:
            yield each


def _getting(client: Client, address: str) -> Callable[[], Any]:
    return lambda: client.get(address)


def _posting(client: Client, address: str, data: dict[str, str]) -> Callable[[], Any]:
    return lambda: client.post(address, data)


def _timed(address: str, ask: Callable[[], Any]) -> Page:
    status = ask().status_code
    if status == 405:
        return Page(address, status, Time(0, 0), Time(0, 0))

    def anew() -> None:
        cache.clear()
        ask()

    return Page(address, status, Time(*answer(anew, TIMES)), Time(*answer(ask, TIMES)))


def _p95(seconds: list[float]) -> float:
    return percentile(seconds, 95) * 1000


def _shown(time: Time) -> str:
    return f"{time.cpu * 1000:.1f} ({time.wall * 1000:.1f})"

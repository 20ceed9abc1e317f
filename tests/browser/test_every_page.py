"""Every page, light and dark, on a phone and on a wide screen: axe finds nothing, nothing sticks out."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page

from integrations.reasons import Reason
from integrations.routing import cooldown, routing
from mailings.demo import school
from mailings.models import (
    Batch,
    BooksSweep,
    Mailing,
    Message,
    Restoration,
    SavedText,
)
from mailings.notifications import editing, registry, send
from mailings.reports import recount
from mailings.restoration import books
from mailings.sending import epoch
from mailings.text import tokens
from tests import factories
from tests.browser.conftest import NARROW, WIDE
from tests.test_rights import TABLE
from users.access import public_password, staff
from users.consent import consent
from users.models import Group, OwnField, Reply, Segment, User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Without preload: axe would fetch imported style sheets once more, from beside the page.
AXE = {"resultTypes": ["violations"], "preload": False}
AXE_RUN = "options => axe.run(options).then(found => found.violations)"
Scheme = Literal["light", "dark"]
# What axe looks at, by the width of the screen. Of pages seen in both languages, each takes half.
ALL: Mapping[str, tuple[Scheme, ...]] = {"wide": ("light", "dark"), "narrow": ("light", "dark")}
HALF: Mapping[str, Mapping[str, tuple[Scheme, ...]]] = {
    "en": {"wide": ("light",), "narrow": ("dark",)},
    "ru": {"wide": ("dark",), "narrow": ("light",)},
}
# Addresses that answer a GET with something else than a page of its own.
NO_PAGES = {
    "health",
    "health-ready",
    "robots",
    "security",
    "receipt-door",
    "mailing-live",
    "prove",
    "echo",
    "sign-in-by-link",
    "short-link",
    "mailing-clicks",
    "set-password",  # below: it takes a link
}
PUBLIC = ["sign-in"]
STUDENT = ["me", "me-phone", "my-messages", "password"]
MANAGER = [
    *("dashboard", "mailings", "mailing-calendar", "mailing-new", "me", "password", "simulator"),
    *("people", "person-new", "person", "person-edit", "groups", "group-new", "group"),
    "person-revoke-links",
    *("own-fields", "own-field", "own-field-delete"),
    *("segments", "segment-new", "segment", "segment-edit", "segment-delete"),
    *("saved-texts", "saved-text-new", "saved-text", "saved-text-delete"),
    *("group-delete", "mailing", "mailing-recipients", "mailing-reasons", "message"),
]
DRAFT = [
    "mailing",
    "mailing-audience",
    "mailing-edit",
    "mailing-launch",
    "mailing-delete",
    "mailing-test",
    *("mailing-foresight", "mailing-would-get"),
]
RUNNING = [
    *(
        "mailing",
        "mailing-cancel",
        "mailing-close-unknown",
        "mailing-send-again",
        "mailing-recipients",
    ),
    *("mailing-revoke-links", "mailing-recall", "mailing-stop-watching"),
]
NOTIFICATIONS = [
    *("notifications", "notification", "notification-new", "notification-edit"),
    *("notification-try", "notification-delete"),
]
OWNER = [
    *("integrations", "integration", "person", "dashboard", "revoke-links", "short-domain"),
    *("sending-settings", "restored", "demo-people"),
]
HELD = ["restored", "dashboard", "mailing"]
AWAITING = ["dashboard", "mailings", "mailing", "mailing-launch", "mailing-test"]
CONNECTED = ["integration", "integration-disconnect", "integration-address"]


def test_no_page_is_forgotten() -> None:
    pages = {line.name for line in TABLE if line.method == "get"} - NO_PAGES

    of_mailings = {*DRAFT, *RUNNING, *NOTIFICATIONS}
    assert pages == {*PUBLIC, *STUDENT, *MANAGER, *of_mailings, *OWNER, *CONNECTED}


@pytest.fixture
def look(open_page: Callable[..., Page]) -> Callable[..., None]:
    """Open the addresses as this person (None: a stranger), and fail with all that is wrong. A
    language: this one, and the other in another call.
    """

    def look(email: str | None, addresses: Iterable[str], half: str = "") -> None:
        language = half or "en"
        page = open_page(reverse("sign-in"), locale=language)
        if email:
            User.objects.filter(email=email).update(language=language)
            page.locator("[name=username]").fill(email)
            page.locator("[name=password]").fill(school.PASSWORD)
            page.locator("form .primary").click()
        schemes = HALF[half] if half else ALL
        wrong = []
        for address in addresses:
            answer = page.goto(address)
            assert answer
            assert answer.status == 200, f"{address}: {answer.status}"
            assert page.locator("html").get_attribute("lang") == language
            wrong += [f"{address} {problem}" for problem in problems(page, schemes)]
        assert wrong == []

    return look


def problems(page: Page, schemes: Mapping[str, Iterable[Scheme]] = ALL) -> list[str]:
    found = []
    page.evaluate(AXE_SCRIPT)  # once for all four: it takes half as long as a run
    for width, size in (("wide", WIDE), ("narrow", NARROW)):
        page.set_viewport_size(size)
        out = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if out > 0:
            found.append(f"{width}: {out} px stick out")
        for scheme in schemes[width]:
            page.emulate_media(color_scheme=scheme)
            violations: list[dict[str, Any]] = page.evaluate(AXE_RUN, AXE)
            found += [
                f"{width} {scheme}: {one['id']}: {one['nodes'][0]['html'][:200]}"
                for one in violations
            ]
    return found


def addresses(names: list[str], **things: int | str) -> list[str]:
    """Those that name a thing take it from `things` by the beginning of their name."""

    def kwargs(name: str) -> dict[str, int | str] | None:
        thing = things.get(name.split("-")[0])
        alone = {
            *("mailings", "mailing-new", "mailing-calendar"),
            *("people", "person-new", "groups", "group-new"),
            *("segments", "segment-new", "notifications", "notification-new"),
        }
        if name.startswith("own-field-") or name == "own-field":
            return {"pk": things["own_field"]}
        if name in {"saved-text", "saved-text-delete"}:
            return {"pk": things["saved_text"]}
        if thing is None or name in alone:
            return None
        return {"slug" if name.startswith("integration") else "pk": thing}

    return [reverse(name, kwargs=kwargs(name)) for name in names]


@pytest.fixture
def things(transactional_db: None) -> dict[str, int | str]:
    """A demo school, and one thing of each kind in it."""
    assert school.build()
    done = Mailing.objects.filter(state=Mailing.State.DONE, counters__undelivered__gt=0)[0]
    return {
        "mailing": done.pk,
        "message": Message.objects.filter(mailing=done).exclude(reason="")[0].pk,
        "person": User.objects.filter(role="student")[5].pk,
        "group": Group.objects.all()[0].pk,
        "segment": _segment().pk,
        "own_field": OwnField.objects.create(slug="course", label="Course").pk,
        "saved_text": SavedText.objects.create(name="Reminder", text="At six, {name}! " * 20).pk,
        "integration": "smsc",
    }


def _segment() -> Segment:
    """A rule with everything that its editor can draw."""
    group = str(Group.objects.all()[0].pk)
    nested = [
        {"field": "group", "op": "since", "value": [group, "2020-01-01"]},
        {"field": "registered", "op": "between", "value": ["2020-01-01", "2030-01-01"]},
        {"not": {"all": [{"field": "seen", "op": "in_days", "value": 30}]}},
    ]
    city = {"field": "city", "op": "is", "value": "Казань"}
    return Segment.objects.create(name="Kazan", rule={"version": 1, "any": [city, {"any": nested}]})


def test_before_signing_in(look: Callable[..., None]) -> None:
    look(None, [*addresses(PUBLIC), "/sign-in/?next=/people/"])


def test_for_whoever_sets_a_password(look: Callable[..., None], owner: User, student: User) -> None:
    path = urlsplit(staff.give_link(student, owner).address).path
    look(None, [path])


def test_for_a_student(look: Callable[..., None], things: dict[str, Any]) -> None:
    message = Message.objects.exclude(user__email=school.SIGN_INS[2])[0]
    link = f"/r/{tokens.make(message.pk, 0, tokens.Purpose.SIGN_IN)}"  # of somebody else
    look(school.SIGN_INS[2], [*addresses(STUDENT), link])


def test_for_a_manager(look: Callable[..., None], things: dict[str, Any]) -> None:
    clicked = Mailing.objects.filter(counters__clicked__gt=0)[0].pk
    pages = addresses(["mailing", "mailing-recipients"], mailing=clicked)
    look(school.SIGN_INS[1], [*pages, f"{pages[1]}?clicked=1"])
    look(school.SIGN_INS[1], addresses(MANAGER, **things), "en")


def test_for_a_manager_with_a_draft_and_one_under_way(
    look: Callable[..., None], things: dict[str, Any]
) -> None:
    draft = Mailing.objects.get(state=Mailing.State.DRAFT)
    running = Mailing.objects.filter(state=Mailing.State.DONE).order_by("-pk")[0]
    Mailing.objects.filter(pk=running.pk).update(state=Mailing.State.SENDING, links_sign_in=True)
    lost = running.messages.filter(status=Message.Status.DELIVERED).values("pk")[:3]
    Message.objects.filter(pk__in=[row["pk"] for row in lost]).update(
        status=Message.Status.UNKNOWN, reason=Reason.NO_ANSWER
    )
    recount.repair(running.pk)

    look(
        school.SIGN_INS[1],
        [*addresses(DRAFT, mailing=draft.pk), *addresses(RUNNING, mailing=running.pk)],
    )


def test_for_the_second_person_of_a_large_launch(
    look: Callable[..., None], things: dict[str, Any]
) -> None:
    """The text goes out a second time, and the one who looks may confirm it."""
    done = Mailing.objects.get(pk=things["mailing"])
    asked = Mailing.objects.get(state=Mailing.State.DRAFT)
    Mailing.objects.filter(pk=asked.pk).update(
        state=Mailing.State.AWAITING,
        text=done.text,
        everyone=True,
        asked_at=timezone.now(),
        asked_by=User.objects.get(email=school.SIGN_INS[0]),
    )
    Mailing.objects.filter(pk=done.pk).update(
        everyone=True, segment=None, launched_at=timezone.now()
    )
    pages = addresses(AWAITING, mailing=asked.pk)
    look(school.SIGN_INS[1], pages, "en")
    look(school.SIGN_INS[1], pages, "ru")


def test_for_a_manager_with_notifications(
    look: Callable[..., None], things: dict[str, Any]
) -> None:
    """A built-in one that is on, and an own one that has left somebody out and lost another."""
    owner = User.objects.get(email=school.SIGN_INS[0])
    code = registry.named(registry.PHONE_CODE)
    own = Mailing(event="paid", name="Paid", text="Order {number} is paid", event_values=["number"])
    assert code
    editing.add(own, owner)
    unused = addresses(["notification-delete", "notification-try"], notification=own.pk)
    editing.switch(own, owner, on=True)
    student = User.objects.filter(role="student").exclude(phone="")[0]
    for name in ("delivered", "undelivered", "forbidden"):
        if name == "forbidden":
            consent.forbid(student, None)
        send.raise_event("paid", student, key=name, values={"number": name})
    for name, reason in (("delivered", ""), ("undelivered", Reason.UNREACHABLE)):
        Message.objects.filter(mailing=own, key=name).update(status=name, reason=reason)
    recount.repair(own.pk)
    pages = [*NOTIFICATIONS[:4], "mailing-recipients", "mailing-reasons"]
    for language in ("en", "ru"):
        look(
            school.SIGN_INS[1],
            [
                *addresses(pages, notification=own.pk, mailing=own.pk),
                *addresses(["notification", "notification-edit"], notification=code.pk),
                *unused,
            ],
            language,
        )


@pytest.mark.parametrize("language", ["en", "ru"])
def test_for_a_manager_with_one_that_watches_and_much_planned(
    look: Callable[..., None], things: dict[str, Any], language: str
) -> None:
    now = timezone.now()
    draft = Mailing.objects.get(state=Mailing.State.DRAFT)
    Mailing.objects.filter(pk=draft.pk).update(when=Mailing.When.ON_ENTRY)
    done = list(Mailing.objects.filter(state=Mailing.State.DONE).order_by("-pk"))
    watching, paused, scheduled, awaiting = (
        done[0],
        done[1],
        *(
            Mailing.objects.create(
                name=f"Open lesson {n}", text="Hello", everyone=True, state=state
            )
            for n, state in enumerate([Mailing.State.SCHEDULED, Mailing.State.AWAITING])
        ),
    )
    on_entry = {"when": Mailing.When.ON_ENTRY, "prepared_at": None, "watching_since": now}
    Mailing.objects.filter(pk=watching.pk).update(
        state=Mailing.State.WATCHING, watched_at=now, present_too=False, **on_entry
    )
    Mailing.objects.filter(pk=paused.pk).update(
        state=Mailing.State.PAUSED, trouble=Reason.BAD_RULE, **on_entry
    )
    Mailing.objects.filter(pk=scheduled.pk).update(starts_at=now + timedelta(days=1))
    Mailing.objects.filter(pk=awaiting.pk).update(asked_at=now, starts_at=now + timedelta(days=1))
    batch = {"not_before": now + timedelta(hours=9), "size": 1200}
    Batch.objects.create(mailing=watching, reference=Batch.new_reference(), **batch)

    look(
        school.SIGN_INS[1],
        [
            *("/", "/mailings/", "/mailings/calendar/"),
            *addresses(["mailing", "mailing-foresight", "mailing-launch"], mailing=draft.pk),
            f"/mailings/{draft.pk}/would-get/?q=a",
            *addresses(["mailing", "mailing-stop-watching", "mailing-cancel"], mailing=watching.pk),
            *addresses(["mailing"], mailing=paused.pk),
        ],
        language,
    )


def test_for_a_manager_in_russian(look: Callable[..., None], things: dict[str, Any]) -> None:
    look(school.SIGN_INS[1], addresses(MANAGER, **things), "ru")


def test_for_the_owner(look: Callable[..., None], things: dict[str, Any]) -> None:
    look(
        school.SIGN_INS[0],
        [
            *addresses(OWNER, **things),
            *addresses(CONNECTED, integration="simulator"),
        ],
    )


def test_for_the_owner_while_a_restored_copy_is_held(
    look: Callable[..., None], things: dict[str, Any]
) -> None:
    """A service that does not answer, one that cannot be asked, and mailings under way."""
    smsc, seventech = factories.smsc(), factories.seventech()
    routing.set_fallback(True, None)
    done = Mailing.objects.get(pk=things["mailing"])
    Mailing.objects.filter(pk=done.pk).update(state=Mailing.State.SENDING, finished_at=None)
    epoch.hold("older")
    [sweep] = books.sweeps_of(Restoration.objects.get())
    assert (sweep.account, seventech.connected) == (smsc, True)
    BooksSweep.objects.update(rows=1200, entered=30, trouble=Reason.UNAVAILABLE)
    Restoration.objects.update(asked_at=timezone.now())
    for language in ("en", "ru"):
        look(school.SIGN_INS[0], addresses(HELD, **things), language)


def test_for_the_owner_while_a_service_is_down_and_money_runs_out(
    look: Callable[..., None], things: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else the forms of services would wait until the made-up people are gone.
    monkeypatch.setattr(public_password, "people", list)
    smsc = factories.smsc(balance=120, warn_below=500, balance_at=timezone.now())
    factories.twilio(balance=5, warn_below=10, balance_currency="USD", balance_at=timezone.now())
    routing.set_fallback(True, None)
    cooldown.start(smsc.id, Reason.NO_MONEY, "smsc:error 3")
    person = User.objects.get(pk=things["person"])
    person.phone, person.phone_confirmed_at = "+79980001212", None  # the owner's
    person.save()
    Reply.objects.create(
        user=person, phone=person.phone, text="thanks " * 40, at=timezone.now(), provider="smsc"
    )
    pages = [*addresses(OWNER, **things), "/mailings/new/", reverse("integration", args=["twilio"])]
    look(school.SIGN_INS[0], pages)
    look(school.SIGN_INS[1], ["/"])

"""Every address of the project, opened by everybody: who gets in is written in one table, and an
address without a line in it fails.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from integrations.models import Account
from mailings.models import Counters, Mailing, Message, SavedText
from tests import factories
from users.access import staff
from users.access.staff import Act
from users.models import Group, OwnField, Segment, User
from users.rights import Right, Role

PEOPLE: dict[str, Callable[[], User]] = {
    "owner": factories.owner,
    "administrator": factories.administrator,
    "responsible": lambda: factories.person(
        "rita", role=Role.ADMINISTRATOR, rights=[str(Right.ACCOUNT)]
    ),
    "manager": factories.manager,
    "employee": factories.employee,
    "student": factories.student,
}
EVERYBODY = frozenset(PEOPLE)
STAFF = frozenset({"owner", "administrator", "responsible", "manager"})  # with rights at work
ADMINISTRATORS = frozenset({"owner", "administrator", "responsible"})
RESPONSIBLE = frozenset({"owner", "responsible"})


@dataclass(frozen=True)
class Line:
    """What those who may get for a usual request; all others get 403, strangers must sign in.
    What depends on the thing itself (a person above, a state) is tested with it.
    """

    name: str
    who: frozenset[str]
    method: str = "get"
    status: int = 200
    data: dict[str, str] = field(default_factory=dict)
    public: bool = False
    otherwise: int = 403

    def __str__(self) -> str:
        return f"{self.method} {self.name}"


TABLE = [
    # smsmail
    Line("health", EVERYBODY, public=True),
    Line("robots", EVERYBODY, public=True),
    Line("security", EVERYBODY, public=True),
    Line("health-ready", EVERYBODY, public=True),
    Line("set_language", EVERYBODY, "post", 302, {"language": "en"}, public=True),
    # users
    Line("sign-in", EVERYBODY, status=302, public=True),
    Line("sign-out", EVERYBODY, "post", 302),
    Line("me", EVERYBODY),
    Line("me-sms", EVERYBODY, "post", 302, {"on": "no"}),
    Line("me-phone", EVERYBODY),
    Line("me-phone-send", EVERYBODY, "post", 302),
    Line("prove", EVERYBODY, status=302),  # nothing to prove for those with a password
    Line("password", EVERYBODY),
    Line("people", STAFF),
    Line("person", STAFF),
    Line("person-new", STAFF),
    Line("person-edit", STAFF),
    Line("person-forbid", STAFF, "post", 302),
    Line("person-allow", STAFF, "post", 302),
    Line("person-role", ADMINISTRATORS, "post", 302, {"role": "student"}),
    Line("person-rights", ADMINISTRATORS, "post", 302),
    Line("person-access", STAFF, "post", 302, {"active": "no"}),
    Line("person-opt-in", STAFF, "post", 302, {"why": "called us"}),
    Line("person-share-phone", STAFF, "post", 302),
    Line("person-password-link", STAFF, "post"),
    Line("set-password", EVERYBODY, status=410, public=True),
    Line("demo-people", RESPONSIBLE),
    Line("person-revoke-links", STAFF),
    Line("person-password", STAFF, "post"),
    Line("groups", STAFF),
    Line("group-new", STAFF),
    Line("group", STAFF),
    Line("group-delete", STAFF),
    Line("segments", STAFF),
    Line("segment", STAFF),
    Line("segment-new", STAFF),
    Line("own-fields", STAFF),
    Line("own-field", STAFF),
    Line("own-field-delete", STAFF),
    Line("segment-edit", STAFF),
    Line("segment-delete", STAFF),
    Line("segment-rule", STAFF, "post"),
    Line("segment-count", STAFF, "post"),
    # integrations
    Line("integrations", RESPONSIBLE),
    Line("integration", RESPONSIBLE),
    Line("integration-check", RESPONSIBLE, "post", 302),
    Line("integration-try", RESPONSIBLE, "post"),
    Line("integration-disconnect", RESPONSIBLE),
    Line("integration-address", RESPONSIBLE),
    Line("integration-address-end", RESPONSIBLE, "post", 302),
    Line("fallback", RESPONSIBLE, "post", 302, {"on": "yes"}),
    Line("short-domain", RESPONSIBLE),
    Line("echo", EVERYBODY, public=True),
    Line("simulator", STAFF),
    Line("receipt-door", EVERYBODY, public=True),
    # mailings
    Line("dashboard", STAFF, otherwise=302),  # to one's own page
    Line("mailings", STAFF),
    Line("mailing", STAFF),
    Line("mailing-new", STAFF),
    Line("mailing-meter", STAFF, "post"),
    Line("mailing-fix", STAFF, "post"),
    Line("mailing-autosave-new", STAFF, "post"),
    Line("mailing-autosave", STAFF, "post"),
    Line("mailing-edit", STAFF),
    Line("mailing-live", STAFF),
    Line("mailing-clicks", STAFF),
    Line("mailing-recipients", STAFF),
    Line("mailing-audience", STAFF),
    Line("mailing-reasons", STAFF),
    Line("mailing-launch", STAFF),
    Line("mailing-take-back", STAFF, "post", 302),
    Line("mailing-recall", STAFF, status=302),  # the service keeps nothing
    Line("mailing-pause", STAFF, "post", 302),
    Line("mailing-resume", STAFF, "post", 302),
    Line("mailing-cancel", STAFF),
    Line("mailing-stop-watching", STAFF),
    Line("mailing-foresight", STAFF),
    Line("mailing-would-get", STAFF),
    Line("mailing-calendar", STAFF),
    Line("mailing-close-unknown", STAFF),
    Line("mailing-send-again", STAFF),
    Line("mailing-delete", STAFF),
    Line("mailing-test", STAFF),
    Line("mailing-copy", STAFF, "post", 302),
    Line("mailing-send-back", STAFF, "post", 302),
    Line("saved-texts", STAFF),
    Line("saved-text-new", STAFF),
    Line("saved-text", STAFF),
    Line("saved-text-delete", STAFF),
    Line("restored", frozenset({"owner"})),
    Line("sending-settings", RESPONSIBLE),
    Line("notifications", STAFF),
    Line("notification", STAFF),
    Line("notification-new", STAFF),
    Line("notification-edit", STAFF),
    Line("notification-meter-new", STAFF, "post"),
    Line("notification-meter", STAFF, "post"),
    Line("notification-switch", STAFF, "post", 302, {"on": "yes"}),
    Line("notification-try", STAFF),
    Line("notification-delete", STAFF),
    Line("message", STAFF),
    Line("my-messages", EVERYBODY),
    Line("mailing-revoke-links", STAFF),
    Line("revoke-links", RESPONSIBLE),
    Line("sign-in-by-link", EVERYBODY, status=302, public=True),  # no ticket: to one's own page
    Line("short-link", EVERYBODY, status=404, public=True),
]


@pytest.fixture
def things(db: None) -> dict[str, dict[str, Any]]:
    """Something behind each address: kwargs by the beginning of its name."""
    account: Account = factories.simulator()
    draft = Mailing.objects.create(name="Webinar", text="Hello", everyone=True)
    running = Mailing.objects.create(
        name="Webinar", text="Hello", state=Mailing.State.SENDING, links_sign_in=True
    )
    Counters.objects.create(mailing=running, delivered=1)
    notification = Mailing.objects.create(
        kind=Mailing.Kind.NOTIFICATION, name="Paid", event="paid", text="Paid", state="cancelled"
    )
    Counters.objects.create(mailing=notification)
    message = Message.objects.create(
        mailing=running, key="+79980000005", phone="+79980000005", text="Hello", status="delivered"
    )
    person = factories.person("petr", phone="+79980000005")
    group = Group.objects.create(name="Webinar")
    segment = Segment.objects.create(
        name="Webinar", rule={"version": 1, "any": [{"field": "phone", "op": "present"}]}
    )
    return {
        "person": {"pk": person.pk},
        "group": {"pk": group.pk},
        "segment": {"pk": segment.pk},
        "own-field": {"pk": OwnField.objects.create(slug="course", label="Course").pk},
        "mailing": {"pk": running.pk},
        "mailing-edit": {"pk": draft.pk},
        "mailing-audience": {"pk": draft.pk},
        "mailing-launch": {"pk": draft.pk},
        "mailing-delete": {"pk": draft.pk},
        "notification": {"pk": notification.pk},
        "message": {"pk": message.pk},
        "saved-text": {"pk": SavedText.objects.create(name="Webinar", text="Hello").pk},
        "integration": {"slug": "simulator"},
        "echo": {"challenge": "abc"},
        "short-link": {"token": "abc"},
        "set-password": {"token": "abc"},
        "receipt-door": {"slug": "simulator", "key": account.receipt_key},
    }


@pytest.mark.parametrize("line", TABLE, ids=str)
def test_it_lets_in_those_who_may_and_no_others(
    line: Line, things: dict[str, dict[str, Any]]
) -> None:
    path = address(line.name, things)
    got = {name: answer_to(line, path, make) for name, make in PEOPLE.items()}
    assert got == {name: line.status if name in line.who else line.otherwise for name in PEOPLE}


@pytest.mark.only_sqlite
@pytest.mark.parametrize("line", TABLE, ids=str)
@pytest.mark.parametrize("method", ["get", "post"])
def test_it_gives_nothing_to_those_who_may_not(
    line: Line, method: str, things: dict[str, dict[str, Any]]
) -> None:
    """Also by the method that the page is not meant for."""
    path = address(line.name, things)
    other = Line(line.name, line.who, method, data=line.data)
    for name in EVERYBODY - line.who:
        assert answer_to(other, path, PEOPLE[name]) == line.otherwise, name


@pytest.mark.only_sqlite
@pytest.mark.parametrize("line", TABLE, ids=str)
@pytest.mark.parametrize("method", ["get", "post"])
def test_it_asks_strangers_to_sign_in(
    line: Line, method: str, things: dict[str, dict[str, Any]]
) -> None:
    path = address(line.name, things)
    answer = getattr(Client(), method)(path, line.data)
    to_sign_in = answer.status_code == 302 and answer["Location"].startswith("/sign-in/?next=")
    assert to_sign_in is not line.public


@pytest.mark.only_sqlite
@pytest.mark.parametrize("line", [line for line in TABLE if line.method == "post"], ids=str)
def test_it_changes_nothing_by_a_look(line: Line, things: dict[str, dict[str, Any]]) -> None:
    path = address(line.name, things)
    allowed = {405} if line.name != "set_language" else {302}  # Django's own only redirects
    assert {answer_to(look(line), path, PEOPLE[name]) for name in line.who} <= allowed


@pytest.mark.only_sqlite
def test_it_asks_for_the_right_before_the_method(things: dict[str, dict[str, Any]]) -> None:
    """Of every address that takes only a POST: @require_right stands above @require_POST."""
    only_post = [
        line
        for line in TABLE
        if answer_to(look(line), address(line.name, things), factories.owner) == 405
    ]
    assert {line.name for line in only_post} == {
        line.name for line in TABLE if line.method == "post"
    } - {"set_language"}
    got = {
        line.name: {
            name: answer_to(look(line), address(line.name, things), make)
            for name, make in PEOPLE.items()
        }
        for line in only_post
    }
    assert got == {
        line.name: {name: 405 if name in line.who else 403 for name in PEOPLE} for line in only_post
    }


@pytest.mark.only_sqlite
@pytest.mark.parametrize("line", [line for line in TABLE if line.who != EVERYBODY], ids=str)
def test_it_takes_no_post_without_a_token(line: Line, things: dict[str, dict[str, Any]]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.owner(), backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(address(line.name, things), line.data).status_code == 403


def test_every_address_has_a_line_in_the_table() -> None:
    assert sorted(names()) == sorted({line.name for line in TABLE})


# --- who does what to whom ----------------------------------------------------------------------
def of(*rights: Right, role: Role = Role.EMPLOYEE, active: bool = True) -> User:
    return User(role=role, rights=[str(right) for right in rights], is_active=active)


SEE, EDIT, FORBID, GRANT = (
    Right.SEE_PEOPLE,
    Right.EDIT_PEOPLE,
    Right.FORBID_SMS,
    Right.GRANT_RIGHTS,
)
ANYBODY: dict[str, User] = {
    "owner": of(role=Role.OWNER),
    "responsible": of(Right.ACCOUNT, role=Role.ADMINISTRATOR),
    "administrator": of(role=Role.ADMINISTRATOR),
    "employee of all rights": of(*Right),
    "editor": of(SEE, EDIT),
    "editor unseeing": of(EDIT),
    "forbidder": of(SEE, FORBID),
    "forbidder unseeing": of(FORBID),
    "granter": of(SEE, GRANT),
    "granter unseeing": of(GRANT),
    "sender": of(Right.SEND_MAILINGS),
    "employee": of(),
    "resting employee of all rights": of(*Right, active=False),
    "student": of(role=Role.STUDENT),
}
EMPLOYEES = {name for name, each in ANYBODY.items() if each.role == Role.EMPLOYEE}
BELOW_ADMINISTRATOR = EMPLOYEES | {"student"}
PEOPLE_ACTS = {Act.EDIT, Act.ACCESS, Act.PASSWORD, Act.REVOKE}


def expected(act: Act, by: str) -> set[str]:
    """On whom, of ANYBODY but themselves."""
    everybody = set(ANYBODY) - {by}
    if by == "owner":
        return everybody - ({"student"} if act == Act.RIGHTS else set())
    if by in {"responsible", "administrator"}:
        if act == Act.FORBID:
            return everybody - {"owner"} - ({"responsible"} if by == "administrator" else set())
        return BELOW_ADMINISTRATOR - ({"student"} if act == Act.RIGHTS else set())
    if by == "employee of all rights":
        if act in PEOPLE_ACTS:
            return {"student"}
        if act == Act.ROLE:
            return set()
        return (BELOW_ADMINISTRATOR - {by}) - ({"student"} if act == Act.RIGHTS else set())
    return {
        ("editor", Act.EDIT): {"student"},
        ("editor", Act.ACCESS): {"student"},
        ("editor", Act.PASSWORD): {"student"},
        ("editor", Act.REVOKE): {"student"},
        ("editor unseeing", Act.EDIT): {"student"},
        ("editor unseeing", Act.ACCESS): {"student"},
        ("editor unseeing", Act.PASSWORD): {"student"},
        ("editor unseeing", Act.REVOKE): {"student"},
        ("forbidder", Act.FORBID): {"forbidder unseeing", "employee", "student"},
        ("granter", Act.RIGHTS): {"granter unseeing", "employee"},
    }.get((by, act), set())


@pytest.mark.parametrize("act", list(Act), ids=str)
@pytest.mark.parametrize("by", list(ANYBODY))
def test_nobody_acts_on_people_of_more_rights_than_their_own(act: Act, by: str) -> None:
    """Every act by everybody on everybody else: the table above says on whom."""
    for number, person in enumerate(ANYBODY.values(), start=1):
        person.pk = number
    acts = {
        name
        for name, person in ANYBODY.items()
        if name != by and staff.may(ANYBODY[by], act, person)
    }
    assert acts == expected(act, by)
    if act not in {Act.EDIT, Act.FORBID, Act.REVOKE}:
        assert not staff.may(ANYBODY[by], act, ANYBODY[by])


def answer_to(line: Line, path: str, make: Callable[[], User]) -> int:
    """The status for this person; what the request did is undone."""
    client = Client()
    client.raise_request_exception = False
    with transaction.atomic():
        client.force_login(make(), backend="django.contrib.auth.backends.ModelBackend")
        answer = getattr(client, line.method)(path, line.data)
        transaction.set_rollback(True)
    return int(answer.status_code)


def look(line: Line) -> Line:
    """The same address asked for by GET."""
    return Line(line.name, line.who, "get")


def address(name: str, things: dict[str, dict[str, Any]]) -> str:
    pattern = next(each for each in patterns() if each.name == name)
    wanted = set(pattern.pattern.converters)
    for start in (name, name.removesuffix("-delete"), name.partition("-")[0]):
        if wanted and wanted == set(things.get(start, {})):
            return reverse(name, kwargs=things[start])
    return reverse(name)


def names() -> list[str]:
    """An address without a name shows as its path, which is no line of the table."""
    return [pattern.name or str(pattern.pattern) for pattern in patterns()]


def patterns(resolver: URLResolver | None = None) -> Iterator[URLPattern]:
    for each in (resolver or get_resolver()).url_patterns:
        if isinstance(each, URLResolver):
            yield from patterns(each)
        else:
            yield each

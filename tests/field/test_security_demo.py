"""The demo school's password stands in the public source (security.md, S1): it is given out and believed
on the machine itself only, and gone before a service that costs money.
"""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.test import Client, RequestFactory
from django.urls import reverse

from integrations.models import Account
from mailings.audience import audience
from mailings.demo import school
from smsmail.environment import is_loopback
from tests import factories
from tests.mailings import mailing_factories
from users.access import public_password
from users.access.public_password import PASSWORD, SIGN_INS
from users.models import User
from users.rights import Role

As = Callable[[User], Client]
pytestmark = [pytest.mark.django_db, pytest.mark.only_sqlite]


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def owner() -> User:
    return factories.person("head", role=Role.OWNER)


def known() -> list[User]:
    """The demo's sign-ins, with the password that everybody knows."""
    return [
        User.objects.create_user(SIGN_INS[0], PASSWORD, role=Role.OWNER),
        User.objects.create_user(SIGN_INS[1], PASSWORD, role=Role.EMPLOYEE, rights=["see_people"]),
        User.objects.create_user(SIGN_INS[2], PASSWORD),
    ]


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("sms.school.example", False),
        ("localhost.school.example", False),
    ],
)
def test_what_only_the_machine_itself_reaches(host: str, ours: bool) -> None:
    assert is_loopback(host) is ours


def test_where_others_can_reach_it_the_password_is_random(settings: Any) -> None:
    settings.REACHABLE = True
    out = StringIO()
    call_command("demo_school", stdout=out)
    assert PASSWORD not in out.getvalue()
    assert "shown only now" in out.getvalue()
    assert "DEMO=no" in out.getvalue()
    password = out.getvalue().partition("Sign in with the password")[2].split()[0]
    for email in SIGN_INS:
        person = User.objects.get(email=email)
        assert person.check_password(password)
        assert not person.check_password(PASSWORD)


def test_on_the_machine_itself_it_is_the_known_one(settings: Any) -> None:
    settings.REACHABLE = False
    assert school.build() == PASSWORD
    assert [person.email for person in public_password.people()] == list(SIGN_INS)


@pytest.mark.parametrize(
    ("meta", "opens"),
    [
        ({"REMOTE_ADDR": "127.0.0.1"}, True),
        ({"REMOTE_ADDR": "::1"}, True),
        ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, True),
        ({"REMOTE_ADDR": "203.0.113.5"}, False),
        ({"REMOTE_ADDR": ""}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.5"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=203.0.113.5"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "sms.school.example"}, False),
    ],
)
def test_from_another_machine_it_opens_nothing(
    settings: Any, meta: dict[str, str], opens: bool
) -> None:
    settings.PUBLIC_URL, settings.REACHABLE = "https://sms.school.example", True
    settings.ALLOWED_HOSTS = ["*"]
    known()
    form = {"username": SIGN_INS[0], "password": PASSWORD}
    answer = Client().post("/sign-in/", form, **meta)  # type: ignore[arg-type]
    assert (answer.status_code == 302) is opens
    if not opens:
        assert "manage.py owner" in answer.content.decode()
        request = RequestFactory().post("/me/prove/", **meta)  # type: ignore[arg-type]
        assert authenticate(request, username=SIGN_INS[0], password=PASSWORD) is None


def test_nobody_chooses_it(as_: As, student: User) -> None:
    form = {
        "old_password": factories.PASSWORD,
        "new_password1": PASSWORD,
        "new_password2": PASSWORD,
    }
    page = as_(student).post("/me/password/", form)
    assert "public" in str(page.context["form"].errors)


def test_every_page_of_the_owner_says_so_while_it_is_there(settings: Any, as_: As) -> None:
    settings.REACHABLE = True
    demo_owner, manager, _student = known()
    for path in ("/", "/people/", "/mailings/"):
        assert "Everybody can know the password" in as_(demo_owner).get(path).content.decode()
    assert "Everybody can know" not in as_(manager).get("/people/").content.decode()
    settings.REACHABLE = False
    assert "Everybody can know" not in as_(demo_owner).get("/people/").content.decode()


CONNECT = {"host": "smsc.ru", "login": "school", "password": "made-up", "price": "2.5"}


def test_before_a_service_that_costs_money_the_made_up_people_go(as_: As, owner: User) -> None:
    service = reverse("integration", args=["smsc"])
    User.objects.filter(pk=owner.pk).update(email="olga@school.test")
    owner.refresh_from_db()
    known()
    client = as_(owner)
    page = client.get(service).content.decode()
    assert all(email in page for email in SIGN_INS)
    assert 'name="login"' not in page
    client.post(service, CONNECT)
    assert not Account.objects.exists()
    assert reverse("demo-people") in page
    assert client.get(reverse("demo-people")).status_code == 200
    assert User.objects.filter(is_active=True).count() == 4  # a look removes nobody
    client.post(reverse("demo-people"))
    assert list(User.objects.filter(is_active=True)) == [owner]
    assert audience.matching(mailing_factories.draft()).count() == 1
    client.post(service, CONNECT)
    assert Account.objects.get().provider == "smsc"


def test_the_simulator_needs_nobody_to_go(as_: As, owner: User) -> None:
    known()
    as_(owner).post(reverse("integration", args=["simulator"]), {"price": "1"})
    assert Account.objects.get().provider == "simulator"


def test_the_demo_owner_chooses_a_password_first(as_: As) -> None:
    demo_owner, *_others = known()
    page = as_(demo_owner).get(reverse("integration", args=["smsc"])).content.decode()
    assert 'href="/me/password/"' in page
    assert reverse("demo-people") not in page


def test_an_owner_stays_whatever_is_removed(as_: As, administrator: User) -> None:
    User.objects.filter(pk=administrator.pk).update(rights=["account"])
    administrator.refresh_from_db()
    known()
    page = as_(administrator).post(reverse("demo-people"), follow=True)
    assert "Nobody would own the account" in page.content.decode()
    assert User.objects.filter(role=Role.OWNER, is_active=True).exists()

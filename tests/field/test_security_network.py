"""From the penetration test (security.md): who is counted, what is counted, and whom it may hurt."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import Client, RequestFactory
from django.utils import timezone

from smsmail.models import Tried
from smsmail.web import cleanup, rate_limit
from smsmail.web.forwarded import Forwarded
from smsmail.web.network import network_of, networks_of
from tests.factories import PASSWORD
from users.access import hashing, sign_in_limits
from users.models import User

pytestmark = pytest.mark.only_sqlite

As = Callable[[User], Client]
WRONG = "wrong"


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


def tried(client: Client, email: str, password: str = WRONG, address: str = "192.0.2.1") -> int:
    answer = client.post(
        "/sign-in/", {"username": email, "password": password}, REMOTE_ADDR=address
    )
    return answer.status_code


# --- S2: wrong passwords by account, by network, over accounts ----------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize(
    "addresses",
    [
        [f"2001:db8:1:2::{n:x}" for n in range(1, 16)],  # one /64, as one guest has it
        [f"2001:db8:1:2{n:02x}::1" for n in range(15)],  # one /56, as one household has it
        [f"2001:db8:1:{n:x}00::1" for n in range(15)],  # one /48
        [f"192.0.2.{n}" for n in range(1, 16)],
        [f"::ffff:192.0.2.{n}" for n in range(1, 16)],
        [f"198.51.{n}.1" for n in range(15)],  # of the account, wherever they come from
    ],
    ids=["64", "56", "48", "24", "mapped", "everywhere"],
)
def test_one_account_is_not_guessed_at_from_many_addresses(
    client: Client, owner: User, addresses: list[str]
) -> None:
    answers = [tried(client, owner.email, address=address) for address in addresses]
    assert 429 in answers
    assert answers[-1] == 429
    assert tried(client, owner.email, PASSWORD, addresses[-1]) == 429


@pytest.mark.django_db
@pytest.mark.parametrize(
    "addresses",
    [["192.0.2.1"], ["2001:db8::1", "2001:db8::2"], ["192.0.2.1", "::ffff:192.0.2.1"], [""]],
    ids=["4", "6", "mapped", "unknown"],
)
def test_one_address_does_not_try_one_password_on_many_accounts(
    client: Client, addresses: list[str]
) -> None:
    answers = [
        tried(client, f"student{n}@example.com", address=addresses[n % len(addresses)])
        for n in range(12)
    ]
    assert answers[:9] == [200] * 9
    assert answers[-1] == 429
    assert tried(client, "another@example.com", address="203.0.113.1") == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    "addresses",
    [
        [f"192.0.2.{n}" for n in range(1, 40)],
        [f"2001:db8:1:2{n:02x}::1" for n in range(39)],
        [f"2001:db8:1:{n:x}::1" for n in range(1, 0xFF00, 0x100)],
    ],
    ids=["24", "56", "48"],
)
def test_nor_does_one_network(client: Client, addresses: list[str]) -> None:
    answers = [
        tried(client, f"student{n}@example.com", address=address)
        for n, address in enumerate(addresses)
    ]
    assert answers[0] == 200
    assert answers[-1] == 429


@pytest.mark.django_db
def test_spellings_of_one_e_mail_are_one_account_and_nonsense_is_no_error(
    client: Client, student: User
) -> None:
    for n, spelling in enumerate(("ivan@example.com", " IVAN@example.com ", "Ivan@EXAMPLE.COM")):
        tried(client, spelling, address=f"198.51.{n}.1")
        tried(client, spelling, address=f"198.51.{n}.1")
    for strange in ("a\0b", "x" * 300, "", "\ud7ff@x", "ivan@example.com\0"):
        assert tried(client, strange, address="203.0.113.1") == 200
    assert tried(client, student.email, "p" * 5000, "203.0.113.1") == 200
    for n in range(3, 7):
        last = tried(client, student.email, address=f"198.51.{n}.1")
    assert last == 429


@pytest.mark.django_db
def test_the_wait_is_short_grows_and_ends(client: Client, student: User) -> None:
    waits = []
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        for _ in range(4):
            tried(client, student.email)
        for _ in range(7):
            answer = client.post(
                "/sign-in/",
                {"username": student.email, "password": "wrong"},
                REMOTE_ADDR="192.0.2.1",
            )
            assert answer.status_code == 429
            waits.append(int(answer["Retry-After"]))
            clock.shift(timedelta(seconds=waits[-1] + 1))
        assert waits == sorted(waits)
        assert waits[0] <= 60
        assert waits[-1] <= 900
        assert tried(client, student.email, PASSWORD) == 302


@pytest.mark.django_db
def test_the_owner_gets_in_from_a_known_browser_whatever_strangers_do(
    client: Client, owner: User
) -> None:
    assert tried(client, owner.email, PASSWORD, "203.0.113.9") == 302
    client.post("/sign-out/")
    stranger = Client()
    for n in range(30):
        tried(stranger, owner.email, address=f"198.51.{n}.1")
        tried(stranger, owner.email, address="203.0.113.77")  # also from the owner's own network
    assert tried(stranger, owner.email, PASSWORD, "192.0.2.1") == 429
    assert tried(client, owner.email, PASSWORD, "192.0.2.200") == 302


@pytest.mark.django_db
def test_and_from_a_known_network_whatever_happens_elsewhere(client: Client, owner: User) -> None:
    assert tried(Client(), owner.email, PASSWORD, "203.0.113.9") == 302
    for n in range(30):
        tried(client, owner.email, address=f"198.51.{n}.1")
    assert tried(Client(), owner.email, PASSWORD, "203.0.113.40") == 302


@pytest.mark.django_db
def test_a_stolen_or_made_up_browser_mark_is_no_way_around(client: Client, owner: User) -> None:
    client.cookies[sign_in_limits.COOKIE] = "made:up"
    assert [tried(client, owner.email) for _ in range(5)][-1] == 429
    known = Client()
    assert tried(known, owner.email, PASSWORD, "203.0.113.9") == 302
    known.post("/sign-out/")
    assert [tried(known, owner.email, address=f"198.51.{n}.1") for n in range(10)][-1] == 429
    other = "another@example.com"  # known to one account only
    assert [tried(known, other, address="192.0.2.200") for _ in range(5)][-1] == 429


@pytest.mark.django_db
def test_a_command_lets_somebody_in(client: Client, student: User) -> None:
    assert [tried(client, student.email) for _ in range(5)][-1] == 429
    call_command("let_in", " IVAN@example.com ", stdout=open("/dev/null", "w"))  # noqa: SIM115
    assert tried(client, student.email, PASSWORD) == 302


@pytest.mark.django_db
def test_nothing_that_is_counted_names_anybody(client: Client, owner: User) -> None:
    tried(client, owner.email, address="203.0.113.9")
    kept = " ".join(Tried.objects.values_list("key", flat=True))
    assert kept
    assert not any(word in kept for word in ("olga", "203", "example"))


@pytest.mark.django_db
def test_a_password_is_looked_at_again_when_nothing_can_be_counted(
    client: Client, student: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseError

    monkeypatch.setattr(rate_limit, "_count", away)
    monkeypatch.setattr(rate_limit, "_write_down", away)
    for _ in range(7):
        assert tried(client, student.email) == 200
    assert tried(client, student.email, PASSWORD) == 302


# --- S2: hashing is bounded ---------------------------------------------------------------------
@pytest.fixture
def all_turns_taken() -> Iterator[None]:
    """As in a flood: one is hashed, the others wait."""
    places = hashing.AT_ONCE + hashing.WAITING
    for _ in range(places):
        assert hashing._places.acquire(blocking=False)
    yield
    for _ in range(places):
        hashing._places.release()


@pytest.mark.django_db
def test_a_flood_of_sign_ins_is_asked_to_come_again(
    client: Client, student: User, settings: Any, all_turns_taken: None
) -> None:
    settings.PASSWORD_HASHERS = ["users.access.hashing.Scrypt"]
    for email in ("nobody@example.com", "nobody2@example.com"):
        answer = client.post("/sign-in/", {"username": email, "password": "wrong"})
        assert answer.status_code == 429
        assert answer["Retry-After"] == "5"
    assert "Many people are signing in" in answer.content.decode()
    assert client.get("/health/").status_code == 200
    assert not Tried.objects.filter(count__gt=0).exists()  # none of them was a wrong password


def test_so_many_passwords_are_hashed_at_once_and_no_more() -> None:
    inside, most = [0], [0]
    lock = threading.Lock()

    def one() -> None:
        try:
            with hashing.turn():
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                threading.Event().wait(0.05)
                with lock:
                    inside[0] -= 1
        except hashing.Busy:
            busy.append(1)

    busy: list[int] = []
    threads = [threading.Thread(target=one) for _ in range(hashing.AT_ONCE + hashing.WAITING + 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == hashing.AT_ONCE
    assert busy


# --- S3: X-Forwarded-For as load balancers and strangers write it ---------------------------------
@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("203.0.113.5:4431", "203.0.113.5"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::7%eth0", "fe80::7"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("[::ffff:203.0.113.5]:1", "203.0.113.5"),
        ('"203.0.113.5"', "203.0.113.5"),
        ("6.6.6.6, 203.0.113.5", "203.0.113.5"),
        ("6.6.6.6,203.0.113.5:80 , 127.0.0.1:99", "203.0.113.5"),
        ("6.6.6.6, 203.0.113.5,", "203.0.113.5"),
        ("garbage, 203.0.113.5", "203.0.113.5"),
        (
            "203.0.113.5, garbage",
            "127.0.0.1",
        ),  # our own proxy does not know: nobody else is believed
        ("203.0.113.5, garbage, 127.0.0.1", "127.0.0.1"),
        ("unknown", "127.0.0.1"),
        ("for=203.0.113.5;proto=https", "127.0.0.1"),
        ("203.0.113.5:port", "127.0.0.1"),
        ("[203.0.113.5", "127.0.0.1"),
        ("999.1.1.1", "127.0.0.1"),
        ("1.2.3", "127.0.0.1"),
        ("\0\r\n", "127.0.0.1"),
        ("", "127.0.0.1"),
        (",,,", "127.0.0.1"),
        ("1.1.1.1," * 9000 + "203.0.113.5", "203.0.113.5"),
        ("9" * 90000, "127.0.0.1"),
        ("127.0.0.1, " * 300, "127.0.0.1"),
    ],
)
def test_the_client_is_the_nearest_hop_that_is_not_ours(header: str, address: str) -> None:
    assert seen(header) == address


def test_nobody_but_the_proxy_is_believed() -> None:
    assert seen("6.6.6.6", peer="203.0.113.5") == "203.0.113.5"
    assert seen("6.6.6.6", peer="::ffff:127.0.0.1") == "6.6.6.6"
    assert seen("6.6.6.6", peer="") == ""
    assert seen("6.6.6.6, 172.20.1.5") == "172.20.1.5"


def test_a_proxy_that_is_not_trusted_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """Behind one, everybody would be one network, and the wrong ones would wait."""

    def application(_environ: dict[str, Any], _start: object) -> list[bytes]:
        return []

    served = Forwarded(application, ["127.0.0.1"])
    for _ in range(3):
        served({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "1.2.3.4"}, lambda *_: None)
    assert caplog.text.count("TRUSTED_PROXIES") == 1
    assert "1.2.3.4" not in caplog.text


def seen(header: str, peer: str = "127.0.0.1") -> str:
    def application(environ: dict[str, Any], _start: object) -> list[bytes]:
        return [environ["REMOTE_ADDR"].encode()]

    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": header, "wsgi.url_scheme": "http"}
    (answer,) = Forwarded(application, ["127.0.0.1", "::1"])(environ, lambda *_: None)
    return answer.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["203.0.113.5:4431", "garbage", "", "[::1]:2", "x" * 9999])
def test_no_address_is_an_error_and_all_are_counted(
    client: Client, student: User, address: str
) -> None:
    assert [tried(client, student.email, address=address) for _ in range(5)][-1] == 429


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("192.0.2.77", ("192.0.2.77/32", "192.0.2.0/24")),
        ("::ffff:192.0.2.77", ("192.0.2.77/32", "192.0.2.0/24")),
        (
            "2001:db8:1:2345::7",
            ("2001:db8:1:2345::/64", "2001:db8:1:2300::/56", "2001:db8:1::/48"),
        ),
        ("nonsense", ("",)),
    ],
)
def test_what_is_counted_by(address: str, networks: tuple[str, ...]) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR=address)
    assert networks_of(request) == networks
    assert network_of(request) == networks[-1]


# --- S3: counts over all processes, and what is forgotten ----------------------------------------
@pytest.mark.django_db(transaction=True)
def test_counts_are_those_of_all_threads_and_processes() -> None:
    def many() -> None:
        for _ in range(5):
            rate_limit.tries("a key", 60)
        connection.close()

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rate_limit.tries("a key", 60) == 21


@pytest.mark.django_db
def test_a_count_begins_anew_and_old_ones_and_old_sessions_go(
    client: Client, student: User
) -> None:
    now = timezone.now()
    with time_machine.travel(now):
        assert [rate_limit.tries("a key", 60) for _ in range(3)] == [1, 2, 3]
        rate_limit.hold("a hold", 60)
        assert rate_limit.held(["a hold", "another"]).keys() == {"a hold"}
        client.force_login(student, backend="django.contrib.auth.backends.ModelBackend")
        assert cleanup.forget_due() is False
        assert client.get("/me/").status_code == 200
    with time_machine.travel(now + timedelta(seconds=61)):
        assert not rate_limit.held(["a hold"])
        assert rate_limit.tries("a key", 60) == 1
    from django.contrib.sessions.models import Session

    with time_machine.travel(now + timedelta(days=15)):
        assert cleanup.forget_due() is False
        assert not Tried.objects.exists()
        assert not Session.objects.exists()


# --- S3: how long staff stays signed in -------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("days", "hours", "stays"),
    [(0, 11, True), (0, 13, False), (6, 0, True), (7, 1, False)],
)
def test_a_session_of_staff_ends_when_left_alone_and_after_a_week(
    client: Client, owner: User, days: int, hours: int, stays: bool
) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        assert tried(client, owner.email, PASSWORD) == 302
        for _ in range(days * 3):  # used every eight hours
            clock.shift(timedelta(hours=8))
            client.get("/me/")
        clock.shift(timedelta(hours=hours))
        assert (client.get("/me/").status_code == 200) is stays


@pytest.mark.django_db
def test_a_student_stays_for_two_weeks(client: Client, student: User) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        tried(client, student.email, PASSWORD)
        clock.shift(timedelta(days=13))
        assert client.get("/me/").status_code == 200
        clock.shift(timedelta(days=2))
        assert client.get("/me/").status_code == 302


@pytest.mark.django_db
def test_one_session_is_not_kept_alive_by_another(owner: User) -> None:
    home, office = Client(), Client()
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        tried(home, owner.email, PASSWORD)
        tried(office, owner.email, PASSWORD)
        for _ in range(13):
            clock.shift(timedelta(hours=1))
            assert office.get("/me/").status_code == 200
        assert home.get("/me/").status_code == 302


# --- what machines ask for, and headers ---------------------------------------------------------------
@pytest.mark.parametrize(
    ("contact", "line"),
    [
        ("", "Contact: https://sms.example.com/"),
        ("holes@example.com", "Contact: mailto:holes@example.com"),
        ("https://example.com/holes", "Contact: https://example.com/holes"),
    ],
)
def test_whom_to_tell_about_a_hole(client: Client, settings: Any, contact: str, line: str) -> None:
    settings.PUBLIC_URL, settings.SECURITY_CONTACT = "https://sms.example.com", contact
    answer = client.get("/.well-known/security.txt")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    assert line in answer.content.decode().splitlines()
    assert "Expires: 2" in answer.content.decode()


@pytest.mark.django_db
def test_search_engines_find_nothing(client: Client) -> None:
    assert "Disallow: /\n" in client.get("/robots.txt").content.decode()
    for path in ("/sign-in/", "/r/abc", "/in/"):
        assert client.get(path)["X-Robots-Tag"] == "noindex"


@pytest.mark.django_db
def test_forms_lead_nowhere_else(client: Client) -> None:
    policy = client.get("/sign-in/")["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["form-action"] == rules["default-src"] == "'self'"
    assert rules["object-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"

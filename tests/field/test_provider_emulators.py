"""The emulators refuse what the services refuse, and speak to other people's clients. Source: the field's
report on the providers, finding T7, and the fact sheets of SMSC and Twilio.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.emulators.smsc import SmscEmulator
from tests.emulators.twilio import TOKEN, TwilioEmulator
from tests.emulators.twilio_checks import NUMBERS, OF_OTHERS
from tests.emulators.twilio_rows import ACCOUNT, SERVICE
from tests.field.smsc_client import CommaClient

PHONE, OTHER = "79980001122", "79980001133"
IN_AN_HOUR = datetime.now(UTC) + timedelta(hours=1)


# --- SMSC, all four forms --------------------------------------------------------------------


def test_a_client_that_speaks_in_commas_is_understood(smsc_emulator: SmscEmulator) -> None:
    smsc_emulator.manner.delay = 0
    client = CommaClient(smsc_emulator.url)
    assert client.balance() == "1000000"
    assert client.cost(PHONE, "Привет") == ["2.50", "1"]
    sent = client.send(f"{PHONE},{OTHER}", "Привет, Мария, урок в 10")
    assert sent[1:] == ["2", "5.00", "999995.00"]
    assert smsc_emulator.accepted == [
        (sent[0], PHONE, "Привет, Мария, урок в 10"),
        (sent[0], OTHER, "Привет, Мария, урок в 10"),
    ]
    status, at, err = client.status(sent[0], PHONE)
    assert (status, err) == ("1", "0")
    assert abs(int(at) - datetime.now(UTC).timestamp()) < 60
    everything = client.status(sent[0], PHONE, 1)
    assert everything[4:6] == [PHONE, "2.50"]
    assert everything[8] == "Привет, Мария, урок в 10"
    assert client.status("nobody", PHONE)[0] == "-3"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("&time=tomorrow", "-5"),
        ("&sender=a-name-too-long", "-6"),
        ("&valid=99:99", "-1"),
    ],
)
def test_and_told_by_a_number_what_is_wrong(
    smsc_emulator: SmscEmulator, more: str, code: str
) -> None:
    assert CommaClient(smsc_emulator.url).send(PHONE, "Hello", more)[1] == code
    assert not smsc_emulator.accepted


def test_and_let_in_with_the_right_password_only(smsc_emulator: SmscEmulator) -> None:
    stranger = CommaClient(smsc_emulator.url, word="wrong")
    assert stranger.send(PHONE, "Hello") == ["0", "-2"]
    assert stranger.balance() is None
    assert CommaClient(smsc_emulator.url).send("79980000100", "Hello") == ["0", "-7"]
    assert CommaClient(smsc_emulator.url).send(PHONE, "x" * 1001) == ["0", "-1"]


def smsc(emulator: SmscEmulator, command: str, **fields: str) -> requests.Response:
    who = {"login": "school", "psw": "made-up", "charset": "utf-8"}
    url = f"{emulator.url}/sys/{command}.php"
    return requests.post(url, data=who | fields, timeout=5)


def test_it_writes_text_for_people_unless_told_otherwise(smsc_emulator: SmscEmulator) -> None:
    smsc_emulator.manner.delay = 0
    words = {"phones": PHONE, "mes": "Hello", "id": "ref1"}
    for form in ({}, {"fmt": "0"}):
        assert smsc(smsc_emulator, "send", **words, **form).text == "OK - 1 SMS, ID - ref1"
    assert smsc(smsc_emulator, "balance").text == "999995.00"
    assert smsc(smsc_emulator, "send", phones="", mes="x").text.startswith("ERROR = 1 (")
    assert smsc(smsc_emulator, "status", phone=PHONE, id="ref1").text.startswith("Status = 1, ")
    assert "ID - ref1" in smsc(smsc_emulator, "send", **words, sender="x" * 12).text


def test_it_writes_xml(smsc_emulator: SmscEmulator) -> None:
    words = {"phones": PHONE, "mes": "a < b & c", "id": "ref1", "fmt": "2", "cost": "3", "op": "1"}
    answer = smsc(smsc_emulator, "send", **words)
    root = ElementTree.fromstring(answer.content)  # noqa: S314 - our own emulator's
    assert (root.tag, root.findtext("id"), root.findtext("cnt")) == ("result", "ref1", "1")
    assert root.findtext("phones/phone/phone") == PHONE
    listed = smsc(smsc_emulator, "get", get_messages="1", fmt="2")
    assert ElementTree.fromstring(listed.content).findtext("message/message") == "a < b & c"  # noqa: S314
    refused = ElementTree.fromstring(smsc(smsc_emulator, "send", fmt="2").content)  # noqa: S314
    assert refused.findtext("error_code") == "1"


def test_it_knows_no_fifth_form(smsc_emulator: SmscEmulator) -> None:
    assert "ERROR = 1" in smsc(smsc_emulator, "balance", fmt="4").text


def test_its_history_comes_in_every_form(smsc_emulator: SmscEmulator) -> None:
    smsc(smsc_emulator, "send", phones=PHONE, mes="Hello", id="ref1")
    for form in "0123":
        assert smsc(smsc_emulator, "get", get_messages="1", fmt=form).status_code == 200
    assert smsc(smsc_emulator, "get", get_messages="1", fmt="3").json()[0]["id"] == "ref1"


# --- Twilio, as strict as it is --------------------------------------------------------------


def twilio(emulator: TwilioEmulator) -> Client:
    client = Client(ACCOUNT, TOKEN)
    client.api.base_url = emulator.url
    return client


def send(emulator: TwilioEmulator, **fields: Any) -> Any:
    return twilio(emulator).messages.create(
        **{"to": f"+{PHONE}", "from_": NUMBERS[0], "body": "Hello"} | fields
    )


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"from_": "+14155550123"}, 21659),  # nobody's
        ({"from_": "44888"}, 21659),
        ({"from_": OF_OTHERS[0]}, 21660),
        ({"from_": "TwentySevenLettersAsASender"}, 21212),
        ({"from_": "TwelveLetter"}, 21212),
        ({"from_": "Школа"}, 21212),
        ({"from_": "School!"}, 21212),
        ({"to": NUMBERS[0]}, 21266),
        ({"schedule_type": "fixed", "messaging_service_sid": SERVICE}, 35111),
        ({"send_at": IN_AN_HOUR, "messaging_service_sid": SERVICE}, 35111),
        ({"send_at": "soon", "schedule_type": "fixed", "messaging_service_sid": SERVICE}, 35114),
        ({"body": ""}, 21619),
        ({"validity_period": "long"}, 21624),
        ({"status_callback": "http://localhost/hooks/"}, 21609),
        ({"status_callback": "http://localhost:8000/hooks/"}, 21609),
        ({"status_callback": "http://127.0.0.1/hooks/"}, 21609),
        ({"status_callback": "http://[::1]/hooks/"}, 21609),
        ({"status_callback": "http://10.0.0.5/hooks/"}, 21609),
        ({"status_callback": "http://school.local/hooks/"}, 21609),
        ({"status_callback": "http://our_school.example.com/hooks/"}, 21609),
    ],
)
def test_it_refuses_what_twilio_refuses(fields: dict[str, Any], code: int) -> None:
    with TwilioEmulator() as emulator:
        with pytest.raises(TwilioRestException) as refused:
            send(emulator, **fields)
        assert (refused.value.status, refused.value.code) == (400, code)
        assert not emulator.accepted


@pytest.mark.parametrize(
    "fields",
    [
        {"from_": "School"},
        {"from_": "11 letters."[:10]},
        {"body": None, "media_url": ["https://example.com/a.png"]},
        {"body": None, "content_sid": "HX" + "0" * 32},
        {"status_callback": "https://sms.example.com/hooks/key/?ref=1#rc=3&rp=all"},
        {"send_at": IN_AN_HOUR, "schedule_type": "fixed", "messaging_service_sid": SERVICE},
    ],
)
def test_it_takes_what_twilio_takes(fields: dict[str, Any]) -> None:
    with TwilioEmulator() as emulator:
        assert send(emulator, **fields).sid


def test_a_webhook_on_this_machine_is_called_only_when_a_test_wants_it() -> None:
    with TwilioEmulator(loopback=True) as emulator:
        assert send(emulator, status_callback="http://127.0.0.1:9/hooks/").sid


def test_it_lists_by_sender_and_by_the_date_of_sending() -> None:
    with TwilioEmulator() as emulator:
        emulator.manner.delay = 0
        by_number, by_name = send(emulator), send(emulator, from_="School")
        emulator.manner.delay = 3600
        waits = send(emulator)
        listed = twilio(emulator).messages.list
        today = datetime.now(UTC)
        day = timedelta(days=1)
        every = [waits.sid, by_name.sid, by_number.sid]
        assert [row.sid for row in listed()] == every
        assert [row.sid for row in listed(from_="School")] == [by_name.sid]
        assert [row.sid for row in listed(from_=NUMBERS[0])] == [waits.sid, by_number.sid]
        # What waits has no date of sending.
        assert [row.sid for row in listed(date_sent_after=today - day)] == every[1:]
        assert [row.sid for row in listed(date_sent_before=today + day)] == every[1:]
        assert listed(date_sent_after=today + day) == []
        assert listed(date_sent_before=today - day) == []
        assert [row.sid for row in listed(date_sent=today.date())] == every[1:]
        assert listed(date_sent=(today - 2 * day).date()) == []


def test_a_text_is_taken_out_and_a_message_deleted() -> None:
    with TwilioEmulator() as emulator:
        emulator.manner.delay = 0
        sent, other = send(emulator), send(emulator)
        assert sent.update(body="").body == ""
        assert twilio(emulator).messages(sent.sid).fetch().body == ""
        assert sent.delete() is True
        with pytest.raises(TwilioRestException) as gone:
            twilio(emulator).messages(sent.sid).fetch()
        assert gone.value.status == 404
        assert [row.sid for row in twilio(emulator).messages.list()] == [other.sid]
        assert len(emulator.accepted) == 2  # the judge forgets nothing


def test_both_last_over_a_restart(tmp_path: Any) -> None:
    with TwilioEmulator(journal=tmp_path / "journal") as emulator:
        sent, other = send(emulator), send(emulator)
        sent.update(body="")
        other.delete()
    with TwilioEmulator(journal=tmp_path / "journal") as emulator:
        [row] = twilio(emulator).messages.list()
        assert (row.sid, row.body) == (sent.sid, "")


def test_what_says_no_may_say_how_long_to_wait(twilio_emulator: TwilioEmulator) -> None:
    twilio_emulator.plan.retry_after = "7"
    twilio_emulator.misbehave("error-20429")
    answer = requests.get(
        f"{twilio_emulator.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json", timeout=5
    )
    assert answer.status_code == 401  # only sending misbehaves
    url = f"{twilio_emulator.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    answer = requests.post(url, data={}, auth=(ACCOUNT, TOKEN), timeout=5)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")

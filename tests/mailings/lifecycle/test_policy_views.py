"""The page "Sending": one row of rules, checked in words, written down when changed."""

from collections.abc import Callable
from datetime import time
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from mailings.models import Policy
from mailings.tracking import revocation
from tests import factories
from users.models import AuditEvent, User

As = Callable[[User], Client]
ADDRESS = "/settings/sending/"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


def filled(**fields: str) -> dict[str, str]:
    return {
        "two_people_above": "1000",
        "countdown": "90",
        "cap_messages": "3",
        "cap_days": "7",
        "quiet_from": "21:00",
        "quiet_until": "09:00",
        "early_hours": "2",
        "grace_minutes": "30",
        **fields,
    }


def errors_of(page: Any) -> dict[str, str]:
    return {name: " ".join(words) for name, words in page.context["form"].errors.items()}


def test_the_rules_are_kept_and_shown_again(as_: As, owner: User) -> None:
    answer = as_(owner).post(ADDRESS, filled())
    assert (answer.status_code, answer["Location"]) == (302, ADDRESS)
    policy = Policy.current()
    assert (policy.two_people_above, policy.countdown) == (1000, 90)
    assert (policy.cap_messages, policy.cap_days) == (3, 7)
    assert (policy.quiet_from, policy.quiet_until) == (time(21), time(9))
    assert (policy.early_hours, policy.grace_minutes) == (2, 30)
    page = as_(owner).get(ADDRESS).content.decode()
    for name, value in filled().items():
        assert f'name="{name}" value="{value}"' in page, name


def test_before_anything_is_saved_the_defaults_stand_there(as_: As, owner: User) -> None:
    form = as_(owner).get(ADDRESS).context["form"]
    assert {name: form[name].value() for name in form.fields} == {
        "two_people_above": None,
        "countdown": 0,  # in tests: conftest.py
        "cap_messages": None,
        "cap_days": 1,
        "quiet_from": None,
        "quiet_until": None,
        "early_hours": 3,
        "grace_minutes": 60,
        "one_tap": False,
        "sms_countries": "",
        "mobile_only": False,
        "codes_a_day": 500,
    }


def test_empty_is_never_none_and_no_quiet_hours(as_: As, owner: User) -> None:
    as_(owner).post(ADDRESS, filled())
    nothing = dict.fromkeys(
        ("two_people_above", "cap_messages", "cap_days", "quiet_from", "quiet_until"), ""
    )
    as_(owner).post(ADDRESS, filled(**nothing))
    policy = Policy.current()
    assert policy.two_people_above is policy.cap_messages is None
    assert policy.quiet_from is policy.quiet_until is None
    assert policy.cap_days == 1


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"two_people_above": "-1"}, "two_people_above", "0"),
        ({"two_people_above": "99999999999"}, "two_people_above", "100000000"),
        ({"countdown": "601"}, "countdown", "600"),
        ({"countdown": ""}, "countdown", "required"),
        ({"cap_messages": "0"}, "cap_messages", "1"),
        ({"cap_messages": "99999"}, "cap_messages", "100"),
        ({"cap_days": ""}, "cap_days", "In how many days?"),
        ({"cap_days": "0"}, "cap_days", "1"),
        ({"cap_days": "366"}, "cap_days", "365"),
        ({"early_hours": "73"}, "early_hours", "72"),
        ({"grace_minutes": "1441"}, "grace_minutes", "1440"),
        ({"quiet_until": ""}, "quiet_until", "Until when?"),
        ({"quiet_from": ""}, "quiet_from", "From when?"),
        ({"quiet_from": "09:00"}, "quiet_until", "They end when they begin"),
        ({"quiet_from": "25:00"}, "quiet_from", "valid time"),
        ({"countdown": "1\0"}, "countdown", "number"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words_and_keeps_what_was_typed(
    as_: As, owner: User, typed: dict[str, str], field: str, words: str
) -> None:
    before = Policy.objects.values().get()
    page = as_(owner).post(ADDRESS, filled(**typed))
    assert page.status_code == 200
    assert list(errors_of(page)) == [field]
    assert words in errors_of(page)[field]
    for name, value in filled(**typed).items():
        assert page.context["form"][name].value() == value
    assert Policy.objects.values().get() == before


def test_quiet_hours_may_span_midnight_or_not(as_: As, owner: User) -> None:
    for begin, end in [("22:30", "08:00"), ("13:00", "14:00"), ("00:00", "23:59")]:
        assert (
            as_(owner).post(ADDRESS, filled(quiet_from=begin, quiet_until=end)).status_code == 302
        )
        assert f"{Policy.current().quiet_from:%H:%M}" == begin


def test_what_has_changed_is_written_down_and_shown(as_: As, owner: User) -> None:
    as_(owner).post(ADDRESS, filled())
    as_(owner).post(ADDRESS, filled(countdown="0", quiet_from="22:00"))
    event = AuditEvent.objects.filter(target="policy").last()
    assert event is not None
    assert event.by == owner
    assert event.details == {
        "changed": {"countdown": [90, 0], "quiet_from": ["21:00", "22:00"]},
    }
    page = as_(owner).get(ADDRESS).content.decode()
    assert "Changed: Pause before the first message, seconds; Quiet hours from" in page


def test_saving_what_is_so_already_is_no_line_of_the_history(as_: As, owner: User) -> None:
    as_(owner).post(ADDRESS, filled())
    as_(owner).post(ADDRESS, filled())
    assert AuditEvent.objects.filter(target="policy").count() == 1


def test_links_revoked_stay_revoked_when_the_rules_are_saved(as_: As, owner: User) -> None:
    revocation.revoke_all(owner)
    before = Policy.current().sign_in_revoked_at
    as_(owner).post(ADDRESS, filled())
    assert before is not None
    assert before < timezone.now()
    assert Policy.current().sign_in_revoked_at == before
    assert "All sign-in links revoked" in as_(owner).get(ADDRESS).content.decode()


def test_it_leads_to_the_end_of_all_links_and_back(as_: As, owner: User) -> None:
    assert "/settings/sending/revoke-links/" in as_(owner).get(ADDRESS).content.decode()
    assert as_(owner).post("/settings/sending/revoke-links/")["Location"] == ADDRESS


def test_it_stands_in_the_menu_of_whoever_may(as_: As, owner: User, manager: User) -> None:
    link = f'href="{ADDRESS}"'
    assert link in as_(owner).get("/me/").content.decode()
    assert link not in as_(manager).get("/me/").content.decode()


def test_times_stand_beside_the_zone_they_are_in(as_: As, owner: User, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Almaty"
    assert "by that of the account: Asia/Almaty" in as_(owner).get(ADDRESS).content.decode()


def test_a_limit_without_a_second_person_is_pointed_out(as_: As, owner: User) -> None:
    words = "Nobody is there to confirm a large mailing"
    as_(owner).post(ADDRESS, filled(two_people_above=""))
    assert words not in as_(owner).get(ADDRESS).content.decode()
    as_(owner).post(ADDRESS, filled(two_people_above="0"))
    assert words in as_(owner).get(ADDRESS).content.decode()
    factories.manager()
    assert words not in as_(owner).get(ADDRESS).content.decode()

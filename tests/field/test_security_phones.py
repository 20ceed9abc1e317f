"""Other people's phones: what a signed-in student did with a number of somebody else (security.md, S1
and S2), step by step, and the neighbours of it. Nobody but whoever has confirmed a number speaks for it.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations.reasons import Reason
from mailings.audience import audience, funnel
from mailings.lifecycle import on_entry, transitions
from mailings.models import Mailing, Message
from mailings.notifications import send
from mailings.sending import prepare
from tests import factories
from tests.mailings import mailing_factories
from users.consent import consent, phone_owners
from users.consent.replies import Written, keep
from users.models import ConsentEvent, Group, OptOut, Reply, User
from users.rights import Right, Role

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db
VICTIMS, OWN = "+79980000051", "+79980000052"


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def attacker() -> User:
    """Here before the victim: the lower id."""
    return factories.person("mallory", phone=OWN, role=Role.STUDENT)


@pytest.fixture
def victim(attacker: User) -> User:
    return factories.person("vera", phone=VICTIMS, phone_confirmed_at=timezone.now())


def writes(client: Client, phone: str, **fields: str) -> Any:
    form = {"first_name": "Mallory", "language": "", "time_zone": "", "phone": phone} | fields
    return client.post("/me/", form)


def claims(person: User, phone: str = VICTIMS) -> None:
    User.objects.filter(pk=person.pk).update(phone=phone, phone_confirmed_at=None)
    person.refresh_from_db()


def prepared(mailing: Mailing, by: User) -> dict[str, tuple[str, str]]:
    """By whose name: what became of them. In small chunks, so that one does not see the next."""
    transitions.launch(mailing, by=by)
    while prepare.prepare_some(mailing.id):
        pass
    rows = Message.objects.filter(mailing=mailing).select_related("user")
    return {str(row.user): (row.phone if not row.reason else "", row.reason) for row in rows}


# --- whose will ----------------------------------------------------------------------------------
def test_a_student_cannot_switch_somebody_elses_number_off(
    as_: As, attacker: User, victim: User
) -> None:
    client = as_(attacker)
    writes(client, VICTIMS)
    client.post("/me/sms/", {"on": "no"})
    writes(client, OWN)
    assert not OptOut.objects.exists()
    assert not consent.refuses(victim, VICTIMS)
    assert not consent.phone_refuses(VICTIMS)
    # What was said for oneself holds for oneself, at whatever number.
    attacker.refresh_from_db()
    assert attacker.sms_forbidden
    assert attacker.sms_forbidden_by == attacker
    assert ConsentEvent.objects.get().user == attacker


def test_nor_one_that_nobody_has_confirmed(as_: As, attacker: User, student: User) -> None:
    client = as_(attacker)
    writes(client, student.phone)
    client.post("/me/sms/", {"on": "no"})
    assert not OptOut.objects.exists()
    assert not User.objects.get(pk=student.pk).sms_forbidden


def test_while_it_is_claimed_the_claimants_no_is_not_the_holders(
    as_: As, attacker: User, victim: User
) -> None:
    client = as_(attacker)
    writes(client, VICTIMS)
    client.post("/me/sms/", {"on": "no"})
    assert not consent.phone_refuses(VICTIMS)
    assert set(audience.receivers(mailing_factories.draft())) == {victim}


def test_nor_switch_it_on_against_its_holder(as_: As, attacker: User, victim: User) -> None:
    consent.opt_out(VICTIMS, OptOut.Source.PERSON, user=victim, by=victim)
    client = as_(attacker)
    writes(client, VICTIMS)
    for on in ("no", "yes"):
        client.post("/me/sms/", {"on": on})
    assert OptOut.objects.get().phone == VICTIMS


def test_a_person_may_always_refuse_for_themselves_and_come_back(as_: As, attacker: User) -> None:
    client = as_(attacker)
    assert "It holds for you alone" in client.get("/me/").content.decode()
    client.post("/me/sms/", {"on": "no"})
    assert audience.receivers(mailing_factories.draft()).count() == 0
    page = client.get("/me/").content.decode()
    assert "You have switched SMS off" in page
    assert "Switch SMS on" in page
    client.post("/me/sms/", {"on": "yes"})
    assert set(audience.receivers(mailing_factories.draft())) == {attacker}


def test_staff_lifts_an_opt_out_with_a_reason_only(as_: As, manager: User, student: User) -> None:
    consent.opt_out(student.phone, OptOut.Source.REPLY)
    path = f"/people/{student.pk}/opt-in/"
    page = as_(manager).post(path, {"why": " "}, follow=True)
    assert "Write down how the owner" in page.content.decode()
    assert OptOut.objects.exists()
    as_(manager).post(path, {"why": "called from the number on Monday"})
    assert not OptOut.objects.exists()
    event = ConsentEvent.objects.order_by("id").last()
    assert event is not None
    assert (event.kind, event.by, event.source) == ("opted_in", manager, "staff")


def test_a_reply_is_the_holders(attacker: User, victim: User) -> None:
    claims(attacker)
    keep([Written("k1", VICTIMS, "Thank you", timezone.now(), "smsc")])
    assert Reply.objects.get().user == victim


# --- who gets it ---------------------------------------------------------------------------------
def test_the_holder_gets_the_mailing_with_their_own_name(
    as_: As, attacker: User, victim: User, owner: User
) -> None:
    factories.simulator()
    writes(as_(attacker), VICTIMS)
    mailing = mailing_factories.draft(text="Hello {first_name}")
    assert set(audience.receivers(mailing)) == {victim}
    assert set(audience.excluded(mailing, Reason.SAME_PHONE)) == {attacker}
    said = funnel.count(mailing)
    assert (said.will_receive, said.excluded[Reason.SAME_PHONE]) == (1, 1)
    became = prepared(mailing, owner)
    assert became["Vera"] == (VICTIMS, "")
    assert became["Mallory"] == ("", Reason.SAME_PHONE)
    assert Message.objects.get(mailing=mailing, key=VICTIMS).text == "Hello Vera"


def test_not_even_where_the_holder_is_not_meant(attacker: User, victim: User, owner: User) -> None:
    """A mailing to a group: nothing of the claimant's goes to the holder's phone."""
    factories.simulator()
    claims(attacker)
    group = Group.objects.create(name="Evening")
    attacker.groups.add(group)
    mailing = mailing_factories.draft(everyone=False)
    mailing.groups.add(group)
    said = funnel.count(mailing)
    assert (said.total, said.will_receive, said.excluded) == (1, 0, {Reason.SAME_PHONE: 1})
    assert audience.sample(mailing) is None


@pytest.mark.parametrize("fields", [{"sms_forbidden": True}, {"first_name": ""}])
def test_a_holder_who_gets_none_is_not_stood_in_for(
    attacker: User, victim: User, owner: User, fields: dict[str, Any]
) -> None:
    factories.simulator()
    claims(attacker)
    User.objects.filter(pk=victim.pk).update(**fields)
    factories.person("zoya", phone="+79980000077")
    mailing = mailing_factories.draft(text="{first_name}")
    assert attacker not in audience.receivers(mailing)
    became = prepared(mailing, owner)
    assert became["Mallory"] == ("", Reason.SAME_PHONE)
    assert not Message.objects.filter(mailing=mailing, key=VICTIMS).exists()


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_of_several_who_have_confirmed_it_the_last_gets_it(
    chunk: int, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.simulator()
    monkeypatch.setattr(prepare, "CHUNK", chunk)
    now = timezone.now()
    for name, ago in (("first", 30), ("second", 1), ("third", 20)):
        factories.person(name, phone=VICTIMS, phone_confirmed_at=now - timedelta(days=ago))
    factories.person("claimant", phone=VICTIMS)
    mailing = mailing_factories.draft(text="Hello {first_name}")
    said = funnel.count(mailing)
    assert (said.will_receive, said.excluded[Reason.SAME_PHONE]) == (1, 3)
    became = prepared(mailing, owner)
    assert became["Second"] == (VICTIMS, "")
    assert [became[name] for name in ("First", "Third", "Claimant")] == [("", "same_phone")] * 3
    mailing_factories.assert_counters_equal_rows(mailing)


def test_among_those_who_have_not_confirmed_it_the_first_gets_it(owner: User) -> None:
    factories.simulator()
    one, _other = (factories.person(name, phone=VICTIMS) for name in ("one", "other"))
    mailing = mailing_factories.draft()
    assert set(audience.receivers(mailing)) == {one}
    assert prepared(mailing, owner)["One"] == (VICTIMS, "")


def test_who_may_not_sign_in_holds_nothing(attacker: User, victim: User) -> None:
    """A number goes on to somebody else; the account of before was closed."""
    claims(attacker)
    User.objects.filter(pk=victim.pk).update(is_active=False)
    assert set(audience.receivers(mailing_factories.draft())) == {attacker}


def test_a_mailing_on_entry_does_the_same(attacker: User, victim: User) -> None:
    factories.simulator()
    claims(attacker)
    watching = mailing_factories.watching(everyone=True)
    while on_entry.watch_due():
        pass
    rows = Message.objects.filter(mailing=watching).values_list("user__first_name", "reason")
    assert dict(rows) == {"Mallory": "same_phone", "Vera": ""}


def test_no_event_of_theirs_goes_there_but_the_code_does(attacker: User, victim: User) -> None:
    factories.simulator()
    claims(attacker)
    ground_event = Mailing.objects.create(
        kind=Mailing.Kind.NOTIFICATION, name="Paid", event="paid", text="Paid", state="sending"
    )
    from mailings.models import Counters

    Counters.objects.create(mailing=ground_event)
    assert send.raise_event("paid", attacker, key="1").reason == Reason.SAME_PHONE
    assert send.raise_event("paid", victim, key="2").became == "sent"
    assert send.send_code(attacker, "ab" * 8) == ""


def test_whoever_confirms_it_too_gets_it_too(attacker: User, victim: User) -> None:
    claims(attacker)
    User.objects.filter(pk=attacker.pk).update(phone_confirmed_at=timezone.now())
    assert not phone_owners.only_claims(attacker)
    assert set(audience.receivers(mailing_factories.draft())) == {attacker}  # confirmed last


# --- what staff sees and says --------------------------------------------------------------------
def test_both_pages_show_the_conflict(as_: As, attacker: User, victim: User, manager: User) -> None:
    claims(attacker)
    theirs = as_(manager).get(f"/people/{attacker.pk}/").content.decode()
    assert "Somebody else has confirmed this number: Vera" in theirs
    holders = as_(manager).get(f"/people/{victim.pk}/").content.decode()
    assert "Mallory has written down this number too" in holders


def test_the_own_page_tells_a_claimant_nothing_of_the_holder(
    as_: As, attacker: User, victim: User
) -> None:
    client = as_(attacker)
    writes(client, VICTIMS)
    page = client.get("/me/").content.decode()
    assert "Vera" not in page
    assert "Somebody else" not in page


def test_staff_says_that_both_have_it_and_a_new_number_is_asked_about_anew(
    as_: As, attacker: User, victim: User, manager: User, owner: User
) -> None:
    factories.simulator()
    claims(attacker)
    group = Group.objects.create(name="Evening")
    attacker.groups.add(group)
    alone = mailing_factories.draft(everyone=False)
    alone.groups.add(group)
    assert as_(manager).post(f"/people/{attacker.pk}/share-phone/").status_code == 302
    assert set(audience.receivers(alone)) == {attacker}
    both = mailing_factories.draft()
    assert set(audience.receivers(both)) == {victim}
    assert prepared(both, owner)["Vera"] == (VICTIMS, "")
    other = factories.person("zoya", phone="+79980000077", phone_confirmed_at=timezone.now())
    writes(as_(attacker), other.phone)
    attacker.refresh_from_db()
    assert phone_owners.only_claims(attacker)


# --- numbers that cost -----------------------------------------------------------------------------
DEAR = {
    "Iridium": "+8816 1234 5678".replace(" ", ""),
    "Inmarsat": "+870773123456",
    "networks of ships": "+8821612345678",
    "networks of machines": "+883510012345678",
    "Ascension": "+24762889",
    "premium, US": "+19005550123",
    "premium, Russia": "+78091234567",
    "freephone, Russia": "+78001234567",
    "personal, UK": "+447012345678",
    "shared cost, UK": "+448712345678",
    "premium of the world": "+979123456789",
}


@pytest.mark.parametrize("phone", DEAR.values(), ids=DEAR)
def test_nobody_may_have_a_number_that_costs_like_a_satellite(
    as_: As, attacker: User, phone: str
) -> None:
    page = writes(as_(attacker), phone)
    assert page.status_code == 200
    assert page.context["form"].errors["phone"]
    attacker.refresh_from_db()
    assert attacker.phone == OWN


@pytest.mark.parametrize("phone", DEAR.values(), ids=DEAR)
def test_and_where_it_stands_already_nothing_goes_there(phone: str, manager: User) -> None:
    factories.simulator()
    person = factories.person("sailor", phone=phone)
    said = funnel.count(mailing_factories.draft())
    assert said.excluded[Reason.NOT_SERVED] == 1
    assert "satellite" in str(Reason.NOT_SERVED.about.advice).lower()
    assert "such numbers" in send.send_code(person, "ab" * 8)
    assert Message.objects.get(user=person).reason == Reason.NOT_SERVED
    with pytest.raises(send.NotSent):
        send.send_test(mailing_factories.draft(), manager, manager, phone)


def test_the_owner_names_the_countries(as_: As, owner: User, manager: User) -> None:
    factories.simulator()
    there = {
        "ru": "+79031234567",
        "kz": "+77012345678",
        "uz": "+998901234567",
        "moscow": "+74951234567",
    }
    for name, phone in there.items():
        factories.person(name, phone=phone)
    assert funnel.count(mailing_factories.draft()).will_receive == 4
    form = {"countdown": 0, "early_hours": 3, "grace_minutes": 60, "codes_a_day": 7}
    wrong = as_(owner).post("/settings/sending/", form | {"sms_countries": "RU, ZZ"})
    assert "ZZ" in str(wrong.context["form"].errors["sms_countries"])
    as_(owner).post("/settings/sending/", form | {"sms_countries": "ru; KZ", "mobile_only": "on"})
    got = audience.receivers(mailing_factories.draft()).values_list("first_name", flat=True)
    assert set(got) == {"Ru", "Kz"}
    uz = User.objects.get(first_name="Uz")
    assert send.send_code(uz, "ab" * 8)
    page = as_(owner).get("/settings/sending/").content.decode()
    assert 'value="KZ, RU"' in page
    assert 'value="7"' in page


def test_a_manager_without_the_right_does_not_see_the_settings(as_: As, manager: User) -> None:
    assert not manager.may(Right.ACCOUNT)
    assert as_(manager).get("/settings/sending/").status_code == 403

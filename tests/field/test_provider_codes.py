"""Every code of the services has its meaning, and what is wrong for everybody refuses nobody. Source: the
field's report on the providers, findings T1, T2, T3, T10, T11, sections 2 and 3, and F10.
"""

from typing import Any

import pytest
from django.utils import translation

from integrations.providers.contract import DeliveryStatus, Outcome, Sms
from integrations.providers.smsc import codes as smsc_codes
from integrations.providers.smsc.answers import results_of
from integrations.providers.transport import Answer
from integrations.providers.twilio import codes as twilio_codes
from integrations.providers.twilio.answers import result_of
from integrations.reasons import Reason

UNSENT, REFUSED, UNKNOWN = Outcome.UNSENT, Outcome.REFUSED, Outcome.UNKNOWN
ONE = Sms(1, "+79980001122", "Hello")

# --- the tables: code, what becomes of the message, why --------------------------------------
AT_ONCE: dict[tuple[int, ...], tuple[Outcome, Reason]] = {
    (21659, 21660, 21661, 21616, 21267, 21210, 21264): (UNSENT, Reason.SENDER_FORBIDDEN),
    (21711, 21712, 21715, 63007, 63002, 21710): (UNSENT, Reason.SENDER_FORBIDDEN),
    (21606, 21212, 21601, 21603, 21607, 21657): (UNSENT, Reason.SENDER_FORBIDDEN),
    (21701, 21702, 21703, 21704, 21705, 21708, 21709): (UNSENT, Reason.SENDER_FORBIDDEN),
    (10002, 30037): (UNSENT, Reason.NO_CONTRACT),
    (20003, 20006, 20010, 20403, 20008, 20404): (UNSENT, Reason.BAD_LOGIN),
    (20101, 20104, 20107, 20151, 20155, 20160): (UNSENT, Reason.BAD_LOGIN),
    (20001, 20422, 14105, 21626, 21609, 21624): (UNSENT, Reason.BAD_REQUEST),
    (20011, 20012, 20426): (UNSENT, Reason.UNAVAILABLE),
    (20409, 20162, 20410, 20504): (UNKNOWN, Reason.NO_ANSWER),
    (30454, 63038): (UNSENT, Reason.LIMIT),
    (35111, 35114, 35115, 35117, 35118, 35126): (UNSENT, Reason.BAD_REQUEST),
    (35125,): (UNSENT, Reason.LIMIT),
    (21219, 21608): (REFUSED, Reason.NO_CONTRACT),
    (21265, 21268, 21266, 30014, 21211): (REFUSED, Reason.BAD_PHONE),
    (21635, 21614): (REFUSED, Reason.NO_SMS),
    (21214, 21408, 21612): (REFUSED, Reason.NO_ROUTE),
    (21618, 21605, 21658, 30044, 21617): (REFUSED, Reason.TEXT_FORBIDDEN),
    (21610,): (REFUSED, Reason.OPTED_OUT),
}
DELIVERED_NOT: dict[tuple[int, ...], Reason] = {
    (30012, 30013): Reason.BAD_REQUEST,
    (30014, 63003, 63024, 63031): Reason.BAD_PHONE,
    (30015, 30016, 30018, 30040, 30041): Reason.SENDER_FORBIDDEN,
    (30037,): Reason.NO_CONTRACT,
    (30043,): Reason.OPERATOR_REFUSED,
    (30044, 63013, 63021, 63026): Reason.TEXT_FORBIDDEN,
    (30047,): Reason.UNAVAILABLE,
    (30453,): Reason.FRAUD_GUARD,
    (30454,): Reason.LIMIT,
    (30610,): Reason.HOURS,
    (63017, 63018): Reason.BUSY,
    (63033,): Reason.OPTED_OUT,
    (63036,): Reason.NO_ROUTE,
    (30500, 30020, 30021, 30410): Reason.SERVICE_FAULT,
}
# F10: these had no words.
WITHOUT_WORDS = (
    *(21635, 30011, 21214, 21265, 21656, 21660, 21710, 30009, 30012, 30038, 30039, 30044),
    *(30453, 30485, 30500, 30884, 63018, 63024, 60410, 30445, 30475, 30734, 30907, 30993),
)


def told(table: dict[tuple[int, ...], Any]) -> list[tuple[int, Any]]:
    return [(code, means) for codes, means in table.items() for code in codes]


def refusal(code: int, status: int = 400) -> Answer:
    return Answer(status, f'{{"code": {code}, "message": "made up", "status": {status}}}')


@pytest.mark.parametrize(("code", "means"), told(AT_ONCE))
def test_twilio_says_no_and_we_know_why(code: int, means: tuple[Outcome, Reason]) -> None:
    for status in (400, 403):
        result = result_of(ONE, refusal(code, status))
        assert (result.outcome, result.reason) == means
        assert result.raw == f"twilio:{code}"


@pytest.mark.parametrize(("code", "reason"), told(DELIVERED_NOT))
def test_twilio_did_not_deliver_and_we_know_why(code: int, reason: Reason) -> None:
    assert twilio_codes.meaning("undelivered", code) == (DeliveryStatus.UNDELIVERED, reason)
    assert twilio_codes.meaning("failed", code) == (DeliveryStatus.UNDELIVERED, reason)


@pytest.mark.parametrize("code", [30025, 30026, 30003])
def test_a_warning_is_no_failure(code: int) -> None:
    assert twilio_codes.meaning("delivered", code) == (DeliveryStatus.DELIVERED, None)
    assert twilio_codes.meaning("sent", code) == (DeliveryStatus.ACCEPTED, None)


@pytest.mark.parametrize("code", WITHOUT_WORDS)
def test_every_code_has_words(code: int) -> None:
    assert twilio_codes.reason_of(code) != Reason.OTHER


@pytest.mark.parametrize("status", [408, 409])
def test_a_code_nobody_knows_may_stand_for_a_message_that_was_made(status: int) -> None:
    assert result_of(ONE, refusal(29999, status)).outcome == UNKNOWN
    assert result_of(ONE, refusal(21659, 409)).outcome == UNSENT


def test_a_limit_of_a_day_is_no_mere_haste() -> None:
    """63038 comes with HTTP 429 as well."""
    result = result_of(ONE, refusal(63038, 429))
    assert (result.outcome, result.reason) == (UNSENT, Reason.LIMIT)
    assert result_of(ONE, refusal(21211, 429)).reason == Reason.BUSY


@pytest.mark.parametrize(
    ("err", "outcome", "reason"),
    [
        (239, UNSENT, Reason.BAD_LOGIN),
        (243, UNSENT, Reason.NO_CONTRACT),
        (244, UNSENT, Reason.NO_CONTRACT),
        (246, UNSENT, Reason.HOURS),
        (247, UNSENT, Reason.LIMIT),
        (254, UNSENT, Reason.SENDER_FORBIDDEN),
        (200, UNSENT, Reason.SETTINGS_FORBID),
        (250, REFUSED, Reason.SETTINGS_FORBID),
        (251, REFUSED, Reason.LIMIT),
        (249, REFUSED, Reason.BAD_PHONE),
        (252, REFUSED, Reason.OPERATOR_REFUSED),
        (253, REFUSED, Reason.TEXT_FORBIDDEN),
        (255, REFUSED, Reason.OPERATOR_REFUSED),
    ],
)
@pytest.mark.parametrize("status", ["23", "", "20"])
def test_smsc_leaves_a_number_out_and_we_know_why(
    err: int, outcome: Outcome, reason: Reason, status: str
) -> None:
    row = f'{{"phone": "79980001122", "cost": "0", "status": "{status}", "error": "{err}"}}'
    [result] = results_of([ONE], Answer(200, f'{{"id": "ref1", "cnt": 0, "phones": [{row}]}}'))
    assert (result.outcome, result.reason) == (outcome, reason)
    assert result.raw == f"smsc:err {err}"


def test_no_code_of_smsc_stands_for_an_opt_out() -> None:
    """Only the service's own stop list would; its status 23 says that among other things."""
    assert Reason.OPTED_OUT not in smsc_codes.ERRS.values()


def test_only_calls_and_mail_have_codes_without_a_reason_of_their_own() -> None:
    assert Reason.OTHER not in smsc_codes.ERRS.values()


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_words_say_what_to_do(language: str) -> None:
    """246 names the setting, OPERATOR_REFUSED the law, 244 the links, OTHER where to look."""
    with translation.override(language):
        hours, operator = str(Reason.HOURS.about.advice), str(Reason.OPERATOR_REFUSED.about.advice)
        contract, other = str(Reason.NO_CONTRACT.about.advice), str(Reason.OTHER.about.advice)
    assert ("forbid other times" if language == "en" else "запрещать остальное время") in hours
    assert ("126-FZ" if language == "en" else "126-ФЗ") in operator
    assert "44.1" in operator
    assert ("links" if language == "en" else "ссылк") in contract
    assert ("settings" if language == "en" else "настройк") in other or "code" in other
    assert Reason.HOURS.about.passing

"""Why a message was not sent or did not arrive: a closed list of our own reasons. Providers
translate their codes into it; an unknown code becomes OTHER, with the raw code stored beside it.
"""

from dataclasses import dataclass
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Fault(StrEnum):
    """Who can do something about it."""

    NUMBER = "number"
    PERSON = "person"
    TEXT = "text"
    ACCOUNT = "account"
    SERVICE = "service"
    US = "us"


@dataclass(frozen=True, slots=True)
class About:
    title: Promise
    advice: Promise
    fault: Fault
    passing: bool = False  # may succeed another time
    charged: bool = False  # providers usually charge for it all the same


class Reason(StrEnum):
    # before anything is submitted
    NO_PHONE = "no_phone"
    BAD_PHONE = "bad_phone"
    NOT_SERVED = "not_served"
    NOT_CONFIRMED = "not_confirmed"
    FORBIDDEN = "forbidden"
    OPTED_OUT = "opted_out"
    SAME_PHONE = "same_phone"
    HAD_LATELY = "had_lately"
    EMPTY_TEXT = "empty_text"
    NO_SERVICE = "no_service"
    TOO_LATE = "too_late"
    CANCELLED = "cancelled"
    TAKEN_BACK = "taken_back"
    # why the system pauses a mailing by itself
    MISSED_TIME = "missed_time"
    WAVE_ERRORS = "wave_errors"
    BAD_RULE = "bad_rule"
    # the number or the handset
    NO_SUCH_NUMBER = "no_such_number"
    UNREACHABLE = "unreachable"
    NO_SMS = "no_sms"
    HANDSET = "handset"
    NUMBER_BLOCKED = "number_blocked"
    SIM_REPLACED = "sim_replaced"
    NO_ROUTE = "no_route"
    EXPIRED = "expired"
    # the text or the sender
    TEXT_FORBIDDEN = "text_forbidden"
    SENDER_FORBIDDEN = "sender_forbidden"
    DUPLICATE = "duplicate"
    # the account
    NO_MONEY = "no_money"
    BAD_LOGIN = "bad_login"
    NO_CONTRACT = "no_contract"
    LIMIT = "limit"
    HOURS = "hours"
    SETTINGS_FORBID = "settings_forbid"
    FRAUD_GUARD = "fraud_guard"
    ADDRESS_BLOCKED = "address_blocked"
    # the service
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    NO_ANSWER = "no_answer"
    NO_RECEIPT = "no_receipt"
    SERVICE_FAULT = "service_fault"
    OPERATOR_REFUSED = "operator_refused"
    BAD_REQUEST = "bad_request"
    OTHER = "other"

    @property
    def about(self) -> About:
        return ABOUT[self]


ABOUT: dict[Reason, About] = {
    Reason.NO_PHONE: About(
        _("No phone"), _("Ask for the phone and write it into the person's profile."), Fault.PERSON
    ),
    Reason.BAD_PHONE: About(
        _("The phone is not a number one can call"),
        _("Correct the number in the person's profile."),
        Fault.NUMBER,
    ),
    Reason.NOT_SERVED: About(
        _("No SMS goes to such numbers"),
        _(
            "Satellite, premium rate and the like, or a country or landline that the settings of sending leave out. Ask for another number."
        ),
        Fault.NUMBER,
    ),
    Reason.NOT_CONFIRMED: About(
        _("The phone is not confirmed"),
        _("This mailing goes to confirmed numbers only. Ask the person to confirm the phone."),
        Fault.PERSON,
    ),
    Reason.FORBIDDEN: About(
        _("SMS are forbidden in the profile"),
        _(
            "Someone of the staff or the person has forbidden SMS. Allow them in the profile if the person asks for it."
        ),
        Fault.PERSON,
    ),
    Reason.OPTED_OUT: About(
        _("The number has opted out"),
        _("The owner of the number does not want SMS. Write by other means."),
        Fault.PERSON,
    ),
    Reason.SAME_PHONE: About(
        _("Another person has this phone"),
        _(
            "One number gets one SMS of a mailing. A number that somebody has confirmed is theirs: others are not written to there until they confirm it too, or staff says on their page that both have it."
        ),
        Fault.PERSON,
    ),
    Reason.HAD_LATELY: About(
        _("Had an SMS lately"),
        _(
            "The account limits how many mailings one number gets. Nothing needs to be done; the limit is in the settings of sending."
        ),
        Fault.PERSON,
    ),
    Reason.NO_SERVICE: About(
        _("No SMS service was connected"),
        _("The event came while nothing could be sent. Connect a service under Integration."),
        Fault.US,
        passing=True,
    ),
    Reason.TOO_LATE: About(
        _("Its lifetime ended before it could leave"),
        _(
            "The message was to arrive within a time that you have set, and it waited longer: for quiet hours, or for the service."
        ),
        Fault.US,
        passing=True,
    ),
    Reason.MISSED_TIME: About(
        _("Its time was missed"),
        _(
            "The system was not running when it should have left. Look whether it still makes sense, then go on or cancel."
        ),
        Fault.US,
        passing=True,
    ),
    Reason.BAD_RULE: About(
        _("The rule can no longer be read"),
        _(
            "Something that its rule names was deleted while the list was drawn up. Who is in the list already gets the SMS when you go on; cancel it and write to the others anew."
        ),
        Fault.US,
    ),
    Reason.WAVE_ERRORS: About(
        _("Too many errors in the first wave"),
        _("Look at the reasons of the errors below, then go on with the rest or cancel."),
        Fault.US,
        passing=True,
    ),
    Reason.EMPTY_TEXT: About(
        _("The text would be empty for this person"),
        _("It consists of values that the profile does not have. Give them a fallback word."),
        Fault.TEXT,
    ),
    Reason.CANCELLED: About(
        _("Cancelled before it left"),
        _("The mailing was stopped. Copy it to send the text to these people after all."),
        Fault.US,
    ),
    Reason.TAKEN_BACK: About(
        _("Taken back from the service"),
        _("The service kept it until its time and gave it back before it was sent."),
        Fault.US,
    ),
    Reason.NO_SUCH_NUMBER: About(
        _("The number does not exist"),
        _("Ask the person for a new number."),
        Fault.NUMBER,
        charged=True,
    ),
    Reason.UNREACHABLE: About(
        _("The phone is switched off or out of reach"),
        _("Try again later or write by other means."),
        Fault.NUMBER,
        passing=True,
        charged=True,
    ),
    Reason.NO_SMS: About(
        _("The number cannot receive SMS"),
        _("It is a landline, or SMS are off in roaming. Ask for a mobile number."),
        Fault.NUMBER,
        charged=True,
    ),
    Reason.HANDSET: About(
        _("The handset or its SIM refused the SMS"),
        _("Often its memory is full. Try again later."),
        Fault.NUMBER,
        passing=True,
        charged=True,
    ),
    Reason.NUMBER_BLOCKED: About(
        _("The operator has blocked the number"),
        _("Usually a debt. Try again in some days or ask for another number."),
        Fault.NUMBER,
        passing=True,
        charged=True,
    ),
    Reason.SIM_REPLACED: About(
        _("The SIM card was replaced a short while ago"),
        _(
            "Operators hold back SMS with a sender name for about 24 hours after that. Try again tomorrow."
        ),
        Fault.NUMBER,
        passing=True,
    ),
    Reason.NO_ROUTE: About(
        _("The service has no way to this operator or country"),
        _(
            "The country or the operator may be closed in the account of the SMS service. Open it there, or ask the service."
        ),
        Fault.SERVICE,
    ),
    Reason.EXPIRED: About(
        _("Its lifetime ended before the phone came into reach"),
        _("The phone was off for long. Try again later or write by other means."),
        Fault.NUMBER,
        passing=True,
        charged=True,
    ),
    Reason.TEXT_FORBIDDEN: About(
        _("The service or the operator refused the text"),
        _(
            "The text was taken for spam, is too long for the account, or has no approved template. Change it or ask the SMS service."
        ),
        Fault.TEXT,
    ),
    Reason.SENDER_FORBIDDEN: About(
        _("The sender name is not registered"),
        _("Register the name with the SMS service, or correct it in the integration's settings."),
        Fault.ACCOUNT,
    ),
    Reason.DUPLICATE: About(
        _("The service took it for a repetition"),
        _("The same text went to this number a moment ago. Nothing needs to be done."),
        Fault.SERVICE,
    ),
    Reason.NO_MONEY: About(
        _("Not enough money on the account of the SMS service"),
        _("Top up the account. The messages wait and go by themselves."),
        Fault.ACCOUNT,
        passing=True,
    ),
    Reason.BAD_LOGIN: About(
        _("The SMS service does not accept the login"),
        _(
            "Check login and password or key in the integration's settings, and the list of permitted addresses in the account of the service."
        ),
        Fault.ACCOUNT,
        passing=True,
    ),
    Reason.NO_CONTRACT: About(
        _("The SMS service asks for a contract"),
        _(
            "Mass messages need a signed contract, and a trial account may not send them. It may also be a link in the text that the service forbids: short links of a new domain are often among them. Ask the SMS service."
        ),
        Fault.ACCOUNT,
    ),
    Reason.LIMIT: About(
        _("A limit of the account or of the number is used up"),
        _("Try again tomorrow or raise the limit in the account of the SMS service."),
        Fault.ACCOUNT,
        passing=True,
    ),
    Reason.HOURS: About(
        _("SMS may not leave at this hour"),
        _(
            "In the account of the SMS service it is set to send only between certain hours and to forbid other times (at SMSC: “Limits and restrictions”), or the law of the country sets such hours. Change it there, or send within the hours."
        ),
        Fault.ACCOUNT,
        passing=True,
    ),
    Reason.SETTINGS_FORBID: About(
        _("The settings of the account at the SMS service forbid it"),
        _(
            "The person has not refused SMS. Look into the account of the SMS service: it limits what mobile numbers get, or is in test mode (at SMSC: “Limits and restrictions”). Change it there, then send again."
        ),
        Fault.ACCOUNT,
    ),
    Reason.FRAUD_GUARD: About(
        _("The SMS service held it back as possible fraud"),
        _(
            "It does so for some hours when many messages go to numbers of one range. Try again later, or loosen its protection in the account of the SMS service."
        ),
        Fault.ACCOUNT,
        passing=True,
    ),
    Reason.ADDRESS_BLOCKED: About(
        _("The SMS service has blocked our address for a while"),
        _("It happens after many wrong requests. The messages wait and go by themselves."),
        Fault.ACCOUNT,
        passing=True,
    ),
    Reason.BUSY: About(
        _("The SMS service asks to go slower"),
        _("What waits goes by itself. What did not arrive can be sent again."),
        Fault.SERVICE,
        passing=True,
    ),
    Reason.UNAVAILABLE: About(
        _("The SMS service cannot be reached"),
        _(
            "What waits goes by itself as soon as it answers. What did not arrive can be sent again."
        ),
        Fault.SERVICE,
        passing=True,
    ),
    Reason.NO_ANSWER: About(
        _("The SMS service gave no answer: it may or may not have gone"),
        _("We ask the service what became of it. Do not send it again before that."),
        Fault.SERVICE,
        passing=True,
        charged=True,
    ),
    Reason.NO_RECEIPT: About(
        _("No delivery receipt came"),
        _("It was sent, but the operator never said whether it arrived."),
        Fault.SERVICE,
        charged=True,
    ),
    Reason.OPERATOR_REFUSED: About(
        _("The operator refused it without a reason"),
        _(
            "Since 1 August 2025 a subscriber in Russia may refuse mailings at the operator (law 126-FZ, article 44.1), and the operator then stops all SMS sent by machines, notices too. It is no mistake of yours. Write by other means."
        ),
        Fault.NUMBER,
        charged=True,
    ),
    Reason.BAD_REQUEST: About(
        _("The service did not understand our request"),
        _("This is our mistake. Tell whoever looks after smsmail and name the code."),
        Fault.US,
    ),
    Reason.SERVICE_FAULT: About(
        _("The SMS service or the operator had a fault of its own"),
        _("It usually passes: send again later. If it goes on, name the code to the SMS service."),
        Fault.SERVICE,
        passing=True,
        charged=True,
    ),
    Reason.OTHER: About(
        _("The service refused it with a code that smsmail has no words for"),
        _(
            "It may be a setting of the account or the sender, the text, or the number: when everybody gets the same code, it is the account or the sender. Look the code up in the documents of the SMS service, or ask the service and name the code."
        ),
        Fault.SERVICE,
    ),
}

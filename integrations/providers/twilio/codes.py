"""The words and codes of Twilio in our terms. Tables only; comments use Twilio's wording."""

from integrations.providers.contract import DeliveryStatus, Outcome
from integrations.reasons import Reason

# `code` of a 4xx response to a new message. An error of the account, the sender or our settings
# affects everybody: unsent, so that no message is lost while it is fixed. An error of one number or
# text is refused, so that it does not hold up the others.
ERRORS: dict[int, tuple[Outcome, Reason]] = {
    10001: (Outcome.UNSENT, Reason.NO_MONEY),  # account is not active, usually for lack of money
    10002: (Outcome.UNSENT, Reason.NO_CONTRACT),  # a trial account lacks this
    14105: (Outcome.UNSENT, Reason.BAD_REQUEST),  # status callback
    14107: (Outcome.REFUSED, Reason.LIMIT),  # 15 replies between two numbers in 30 seconds
    20001: (Outcome.UNSENT, Reason.BAD_REQUEST),  # an unknown parameter
    20003: (Outcome.UNSENT, Reason.BAD_LOGIN),
    20005: (Outcome.UNSENT, Reason.NO_MONEY),  # account is not active
    20006: (Outcome.UNSENT, Reason.BAD_LOGIN),  # access denied
    20008: (Outcome.UNSENT, Reason.BAD_LOGIN),  # test credentials
    20010: (Outcome.UNSENT, Reason.BAD_LOGIN),  # action is not enabled
    20011: (Outcome.UNSENT, Reason.UNAVAILABLE),  # to 20012, 20426: another TLS version is required
    20012: (Outcome.UNSENT, Reason.UNAVAILABLE),
    **dict.fromkeys(range(20101, 20108), (Outcome.UNSENT, Reason.BAD_LOGIN)),  # tokens
    **dict.fromkeys(range(20151, 20161), (Outcome.UNSENT, Reason.BAD_LOGIN)),  # tokens
    20162: (Outcome.UNKNOWN, Reason.NO_ANSWER),
    20403: (Outcome.UNSENT, Reason.BAD_LOGIN),
    20404: (Outcome.UNSENT, Reason.BAD_LOGIN),  # no such account
    20409: (Outcome.UNKNOWN, Reason.NO_ANSWER),  # conflict
    20410: (Outcome.UNKNOWN, Reason.NO_ANSWER),  # gone
    20422: (Outcome.UNSENT, Reason.BAD_REQUEST),  # an unreadable parameter
    20426: (Outcome.UNSENT, Reason.UNAVAILABLE),
    20429: (Outcome.UNSENT, Reason.BUSY),  # not processed
    20500: (Outcome.UNKNOWN, Reason.NO_ANSWER),
    20503: (Outcome.UNKNOWN, Reason.NO_ANSWER),
    20504: (Outcome.UNKNOWN, Reason.NO_ANSWER),
    21210: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # From is not verified
    21211: (Outcome.REFUSED, Reason.BAD_PHONE),
    21212: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # From is no number
    21214: (Outcome.REFUSED, Reason.NO_ROUTE),  # To cannot be reached
    21217: (Outcome.REFUSED, Reason.BAD_PHONE),
    21219: (Outcome.REFUSED, Reason.NO_CONTRACT),  # trial account: To is not verified
    21264: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # From is not verified
    21265: (Outcome.REFUSED, Reason.BAD_PHONE),  # To is a short code
    21266: (Outcome.REFUSED, Reason.BAD_PHONE),  # To is From
    21267: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # an alphanumeric From of a trial account
    21268: (Outcome.REFUSED, Reason.BAD_PHONE),  # To is a premium number
    21401: (Outcome.REFUSED, Reason.BAD_PHONE),
    21408: (Outcome.REFUSED, Reason.NO_ROUTE),  # country not enabled in the account
    21601: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # From cannot send SMS
    21602: (Outcome.REFUSED, Reason.BAD_REQUEST),  # no text
    21603: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # neither From nor a Messaging Service
    21604: (Outcome.REFUSED, Reason.BAD_PHONE),  # no To
    21605: (Outcome.REFUSED, Reason.TEXT_FORBIDDEN),  # too long
    21606: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21607: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21608: (Outcome.REFUSED, Reason.NO_CONTRACT),  # trial account: To is not verified
    21609: (Outcome.UNSENT, Reason.BAD_REQUEST),  # StatusCallback is not public
    21610: (Outcome.REFUSED, Reason.OPTED_OUT),  # STOP to this sender
    21611: (Outcome.UNSENT, Reason.BUSY),  # ten hours of queue on this From; not created
    21612: (Outcome.REFUSED, Reason.NO_ROUTE),  # this From cannot reach this To
    21614: (Outcome.REFUSED, Reason.NO_SMS),  # not a mobile number
    21616: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # From is several numbers of the account
    21617: (Outcome.REFUSED, Reason.TEXT_FORBIDDEN),  # more than 1600 characters
    21618: (Outcome.REFUSED, Reason.TEXT_FORBIDDEN),  # a text that cannot be sent
    21619: (Outcome.REFUSED, Reason.BAD_REQUEST),  # no text
    21624: (Outcome.UNSENT, Reason.BAD_REQUEST),  # ValidityPeriod
    21626: (Outcome.UNSENT, Reason.BAD_REQUEST),  # status callback
    21635: (Outcome.REFUSED, Reason.NO_SMS),  # To is a landline
    21656: (Outcome.UNSENT, Reason.BAD_REQUEST),  # ContentVariables
    21657: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21658: (Outcome.REFUSED, Reason.TEXT_FORBIDDEN),  # too long
    21659: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # From is not a number of Twilio
    21660: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # From belongs to another account
    21661: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # From cannot send SMS
    21664: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # to 21667: FallbackFrom
    21666: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21667: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21701: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # to 21705: the Messaging Service
    21702: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21703: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21704: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21705: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21708: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # an alphanumeric From
    21709: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21710: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # to 21715: From and the Messaging Service
    21711: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21712: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21715: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21730: (Outcome.UNSENT, Reason.UNAVAILABLE),  # maintenance
    30014: (Outcome.REFUSED, Reason.BAD_PHONE),
    30037: (Outcome.UNSENT, Reason.NO_CONTRACT),  # the account may not send
    30044: (Outcome.REFUSED, Reason.TEXT_FORBIDDEN),  # trial account: too many parts
    30454: (Outcome.UNSENT, Reason.LIMIT),  # a limit of the account
    35111: (Outcome.UNSENT, Reason.BAD_REQUEST),  # to 35126: SEND_TIMES
    35114: (Outcome.UNSENT, Reason.BAD_REQUEST),
    35115: (Outcome.UNSENT, Reason.BAD_REQUEST),
    35117: (Outcome.UNSENT, Reason.BAD_REQUEST),
    35118: (Outcome.UNSENT, Reason.BAD_REQUEST),
    35125: (Outcome.UNSENT, Reason.LIMIT),
    35126: (Outcome.UNSENT, Reason.BAD_REQUEST),
    60410: (Outcome.REFUSED, Reason.FRAUD_GUARD),
    63002: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # no sender with this From
    63007: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    63038: (Outcome.UNSENT, Reason.LIMIT),  # daily limit of messages
    90007: (Outcome.UNSENT, Reason.BAD_REQUEST),  # ValidityPeriod
    90010: (Outcome.UNSENT, Reason.NO_MONEY),  # account is not active
    90014: (Outcome.UNSENT, Reason.BAD_REQUEST),  # ValidityPeriod
}
# Twilio refuses the scheduled time, but accepts the message without one.
SEND_TIMES = frozenset({35111, 35114, 35115, 35117, 35118, 35125, 35126})
# By HTTP status, whatever the body says: the request was not acted on.
STATUS_ERRORS: dict[int, tuple[Outcome, Reason]] = {
    401: (Outcome.UNSENT, Reason.BAD_LOGIN),
    429: (Outcome.UNSENT, Reason.BUSY),
}
# With these statuses, an unknown code may mean that the message was created.
UNCERTAIN = frozenset({408, 409})

# `status` of a message. receiving and received are missing: such messages are not ours.
STATUSES: dict[str, DeliveryStatus] = {
    "accepted": DeliveryStatus.ACCEPTED,
    "queued": DeliveryStatus.ACCEPTED,
    "scheduled": DeliveryStatus.ACCEPTED,
    "sending": DeliveryStatus.ACCEPTED,
    "sent": DeliveryStatus.ACCEPTED,  # may be the final status if the operator sends no receipts
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.DELIVERED,
    "partially_delivered": DeliveryStatus.DELIVERED,
    "undelivered": DeliveryStatus.UNDELIVERED,
    "failed": DeliveryStatus.UNDELIVERED,  # the message never left Twilio
    "canceled": DeliveryStatus.CANCELLED,
}
INBOUND = frozenset({"receiving", "received"})

# `error_code` of a message that failed or was not delivered.
DELIVERY: dict[int, Reason] = {
    30001: Reason.LIMIT,  # queue overflow
    30002: Reason.NO_MONEY,  # account suspended meanwhile, usually for lack of money
    30003: Reason.UNREACHABLE,
    30004: Reason.OPERATOR_REFUSED,  # the number is blocked
    30005: Reason.NO_SUCH_NUMBER,
    30006: Reason.NO_SMS,  # landline, or operator not reachable
    30007: Reason.TEXT_FORBIDDEN,  # filtered
    30008: Reason.OPERATOR_REFUSED,  # unknown error at the operator
    30009: Reason.SERVICE_FAULT,  # a segment was lost
    30010: Reason.LIMIT,  # above a price limit
    30011: Reason.NO_ROUTE,  # MMS
    30012: Reason.BAD_REQUEST,  # to 30013: lifetime
    30013: Reason.BAD_REQUEST,
    30014: Reason.BAD_PHONE,
    30015: Reason.SENDER_FORBIDDEN,
    30016: Reason.SENDER_FORBIDDEN,
    30017: Reason.UNREACHABLE,  # congestion at the operator
    30018: Reason.SENDER_FORBIDDEN,  # the country requires registered senders
    30019: Reason.TEXT_FORBIDDEN,  # too big
    30020: Reason.SERVICE_FAULT,  # to 30021: a fault of Twilio or its partner
    30021: Reason.SERVICE_FAULT,
    30022: Reason.LIMIT,  # to 30027: caps of operators in the USA
    30023: Reason.LIMIT,
    30024: Reason.SENDER_FORBIDDEN,
    30025: Reason.LIMIT,
    30026: Reason.LIMIT,
    30027: Reason.LIMIT,
    30032: Reason.SENDER_FORBIDDEN,  # to 30035: registration in the USA
    30033: Reason.SENDER_FORBIDDEN,
    30034: Reason.SENDER_FORBIDDEN,
    30035: Reason.SENDER_FORBIDDEN,
    30036: Reason.EXPIRED,  # some public lists describe it differently
    30037: Reason.NO_CONTRACT,  # the account may not send
    30038: Reason.TEXT_FORBIDDEN,  # to 30039: incoming, filtered or looping
    30039: Reason.DUPLICATE,
    30040: Reason.SENDER_FORBIDDEN,  # 30018 as an error: unregistered alphanumeric sender
    30041: Reason.SENDER_FORBIDDEN,  # the same in the United Kingdom
    30042: Reason.SENDER_FORBIDDEN,
    30043: Reason.OPERATOR_REFUSED,
    30044: Reason.TEXT_FORBIDDEN,  # trial account: too many parts
    30047: Reason.UNAVAILABLE,  # could not be delayed until after quiet hours
    30410: Reason.SERVICE_FAULT,  # a partner's timeout
    30450: Reason.OPERATOR_REFUSED,
    30453: Reason.FRAUD_GUARD,
    30454: Reason.LIMIT,  # a limit of the account
    30485: Reason.OPERATOR_REFUSED,
    30500: Reason.SERVICE_FAULT,
    30610: Reason.HOURS,  # hours set by local law
    30615: Reason.OPERATOR_REFUSED,
    30620: Reason.OPERATOR_REFUSED,
    30630: Reason.OPERATOR_REFUSED,
    63003: Reason.BAD_PHONE,
    63013: Reason.TEXT_FORBIDDEN,
    63017: Reason.BUSY,
    63018: Reason.BUSY,
    63021: Reason.TEXT_FORBIDDEN,
    63024: Reason.BAD_PHONE,
    63026: Reason.TEXT_FORBIDDEN,
    63031: Reason.BAD_PHONE,
    63033: Reason.OPTED_OUT,
    63036: Reason.NO_ROUTE,
    # A rejected registration of a sender in the USA.
    **dict.fromkeys((*range(30436, 30450), 30451, 30452), Reason.SENDER_FORBIDDEN),
    **dict.fromkeys((*range(30455, 30481), *range(30701, 30800)), Reason.SENDER_FORBIDDEN),
    **dict.fromkeys((*range(30880, 30910), *range(30990, 30995)), Reason.SENDER_FORBIDDEN),
}
# The message waited too long in Twilio's queue or the operator's.
RAN_OUT = frozenset({30001, 30036})
FAILED = frozenset({DeliveryStatus.UNDELIVERED, DeliveryStatus.EXPIRED})


def meaning(status: str, code: int | None) -> tuple[DeliveryStatus, Reason | None] | None:
    """Return None for a status that Twilio has not documented, or of a message that is not ours."""
    if status not in STATUSES:
        return None
    ours = STATUSES[status]
    if ours not in FAILED:
        return ours, None
    return DeliveryStatus.EXPIRED if code in RAN_OUT else ours, reason_of(code)


def reason_of(code: int | None) -> Reason:
    if code in DELIVERY:
        return DELIVERY[code]
    # An undelivered message without a code: nobody says why.
    return ERRORS[code][1] if code in ERRORS else Reason.OTHER if code else Reason.OPERATOR_REFUSED

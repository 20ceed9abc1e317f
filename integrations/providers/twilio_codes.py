"""What the words and codes of Twilio mean in ours. Tables only; comments say it as Twilio does."""

from integrations.provider import Outcome, ReportStatus
from integrations.reasons import Reason

# `code` of an answer 4xx to a new message. What is wrong with the account, the sender or our
# settings is wrong for everybody: unsent, so that nobody's message is lost while it is mended. What
# is wrong with one number or text is refused, so that it does not hold up the others.
ERRORS: dict[int, tuple[Outcome, Reason]] = {
    10001: (Outcome.UNSENT, Reason.NO_MONEY),  # account is not active; mostly no money
    14107: (Outcome.REFUSED, Reason.LIMIT),  # 15 replies between two numbers in 30 seconds
    20003: (Outcome.UNSENT, Reason.BAD_LOGIN),
    20005: (Outcome.UNSENT, Reason.NO_MONEY),  # account is not active
    20008: (Outcome.UNSENT, Reason.BAD_LOGIN),  # test credentials
    20404: (Outcome.UNSENT, Reason.BAD_LOGIN),  # no such account
    20429: (Outcome.UNSENT, Reason.BUSY),  # never processed
    20500: (Outcome.UNKNOWN, Reason.NO_ANSWER),
    20503: (Outcome.UNKNOWN, Reason.NO_ANSWER),
    21211: (Outcome.REFUSED, Reason.BAD_PHONE),
    21212: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # From is no number
    21217: (Outcome.REFUSED, Reason.BAD_PHONE),
    21401: (Outcome.REFUSED, Reason.BAD_PHONE),
    21408: (Outcome.REFUSED, Reason.NO_ROUTE),  # country not enabled in the account
    21601: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # From cannot send SMS
    21602: (Outcome.REFUSED, Reason.BAD_REQUEST),  # no text
    21603: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # neither From nor service
    21604: (Outcome.REFUSED, Reason.BAD_PHONE),  # no To
    21606: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21607: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21608: (Outcome.REFUSED, Reason.NO_CONTRACT),  # trial account: To is not verified
    21609: (Outcome.UNSENT, Reason.BAD_REQUEST),  # StatusCallback is not public
    21610: (Outcome.REFUSED, Reason.OPTED_OUT),  # STOP to this sender
    21611: (Outcome.UNSENT, Reason.BUSY),  # ten hours of queue on this From; not created
    21612: (Outcome.REFUSED, Reason.NO_ROUTE),  # this From cannot reach this To
    21614: (Outcome.REFUSED, Reason.NO_SMS),  # not a mobile number
    21617: (Outcome.REFUSED, Reason.TEXT_FORBIDDEN),  # over 1600 characters
    21619: (Outcome.REFUSED, Reason.BAD_REQUEST),  # no text
    21624: (Outcome.UNSENT, Reason.BAD_REQUEST),  # ValidityPeriod
    21657: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21701: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # to 21705: the Messaging Service
    21702: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21703: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21704: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21705: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    21708: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),  # letters as From
    21709: (Outcome.UNSENT, Reason.SENDER_FORBIDDEN),
    35111: (Outcome.REFUSED, Reason.BAD_REQUEST),  # to 35126: a send time, which we never give
    35114: (Outcome.REFUSED, Reason.BAD_REQUEST),
    35115: (Outcome.REFUSED, Reason.BAD_REQUEST),
    35117: (Outcome.REFUSED, Reason.BAD_REQUEST),
    35118: (Outcome.REFUSED, Reason.BAD_REQUEST),
    35125: (Outcome.REFUSED, Reason.LIMIT),
    35126: (Outcome.REFUSED, Reason.BAD_REQUEST),
    63038: (Outcome.UNSENT, Reason.LIMIT),  # messages a day
    90007: (Outcome.UNSENT, Reason.BAD_REQUEST),  # ValidityPeriod
    90010: (Outcome.UNSENT, Reason.NO_MONEY),  # account is not active
    90014: (Outcome.UNSENT, Reason.BAD_REQUEST),  # ValidityPeriod
}
# By HTTP status, whatever the body says: these were not acted on.
STATUS_ERRORS: dict[int, tuple[Outcome, Reason]] = {
    401: (Outcome.UNSENT, Reason.BAD_LOGIN),
    429: (Outcome.UNSENT, Reason.BUSY),
}

# `status` of a message. receiving and received are missing: they are not ours.
STATUSES: dict[str, ReportStatus] = {
    "accepted": ReportStatus.ACCEPTED,
    "queued": ReportStatus.ACCEPTED,
    "scheduled": ReportStatus.ACCEPTED,
    "sending": ReportStatus.ACCEPTED,
    "sent": ReportStatus.ACCEPTED,  # may be the last word, where operators give no receipts
    "delivered": ReportStatus.DELIVERED,
    "read": ReportStatus.DELIVERED,
    "partially_delivered": ReportStatus.DELIVERED,
    "undelivered": ReportStatus.UNDELIVERED,
    "failed": ReportStatus.UNDELIVERED,  # never left Twilio
    "canceled": ReportStatus.CANCELLED,
}
INBOUND = frozenset({"receiving", "received"})

# `error_code` of a message that failed or was not delivered.
DELIVERY: dict[int, Reason] = {
    30001: Reason.LIMIT,  # queue overflow
    30002: Reason.NO_MONEY,  # account suspended meanwhile
    30003: Reason.UNREACHABLE,
    30004: Reason.OPERATOR_REFUSED,  # the number bars it
    30005: Reason.NO_SUCH_NUMBER,
    30006: Reason.NO_SMS,  # landline, or operator not reachable
    30007: Reason.TEXT_FORBIDDEN,  # filtered
    30008: Reason.OPERATOR_REFUSED,  # unknown error at the operator
    30010: Reason.LIMIT,  # over a price limit
    30017: Reason.UNREACHABLE,  # congestion at the operator
    30018: Reason.SENDER_FORBIDDEN,  # the country wants registered senders
    30019: Reason.TEXT_FORBIDDEN,  # too big
    30020: Reason.OTHER,  # to 30021: a fault of Twilio's or its partner's
    30021: Reason.OTHER,
    30022: Reason.LIMIT,  # to 30027: caps of operators in the USA
    30023: Reason.LIMIT,
    30024: Reason.SENDER_FORBIDDEN,
    30027: Reason.LIMIT,
    30032: Reason.SENDER_FORBIDDEN,  # to 30035: registration in the USA
    30033: Reason.SENDER_FORBIDDEN,
    30034: Reason.SENDER_FORBIDDEN,
    30035: Reason.SENDER_FORBIDDEN,
    30036: Reason.EXPIRED,  # some public lists call it something else
    30042: Reason.SENDER_FORBIDDEN,
    30410: Reason.OTHER,  # a partner's timeout
    30450: Reason.OPERATOR_REFUSED,
}
RAN_OUT = frozenset({30001, 30036})  # waited too long, in Twilio's queue or the operator's
FAILED = frozenset({ReportStatus.UNDELIVERED, ReportStatus.EXPIRED})


def meaning(status: str, code: int | None) -> tuple[ReportStatus, Reason | None] | None:
    """None for a status that Twilio never told us about, or that is no message of ours."""
    if status not in STATUSES:
        return None
    ours = STATUSES[status]
    if ours not in FAILED:
        return ours, None
    return ReportStatus.EXPIRED if code in RAN_OUT else ours, reason_of(code)


def reason_of(code: int | None) -> Reason:
    if code in DELIVERY:
        return DELIVERY[code]
    # An undelivered one without a code: nobody says why.
    return ERRORS[code][1] if code in ERRORS else Reason.OTHER if code else Reason.OPERATOR_REFUSED

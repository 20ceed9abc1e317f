"""The codes of SMSC in our terms. Tables only; comments give SMSC's own wording."""

from integrations.providers.contract import DeliveryStatus, Outcome
from integrations.reasons import Reason

# `error_code` of send.php, about the whole request.
ERRORS: dict[int, tuple[Outcome, Reason]] = {
    1: (Outcome.REFUSED, Reason.BAD_REQUEST),  # bad parameters
    2: (Outcome.UNSENT, Reason.BAD_LOGIN),  # wrong login or key, or our IP address is not permitted
    3: (Outcome.UNSENT, Reason.NO_MONEY),
    # Our IP address is blocked after many bad requests.
    4: (Outcome.UNSENT, Reason.ADDRESS_BLOCKED),
    5: (Outcome.REFUSED, Reason.BAD_REQUEST),  # bad date format
    # The text or sender is forbidden, or bulk is sent without a contract.
    6: (Outcome.REFUSED, Reason.TEXT_FORBIDDEN),
    7: (Outcome.REFUSED, Reason.BAD_PHONE),
    8: (Outcome.REFUSED, Reason.NO_ROUTE),  # cannot be delivered to this number
    # The same request twice within a minute, or too many at once. The former may mean that an
    # earlier attempt was accepted: only a look-up can tell.
    9: (Outcome.UNKNOWN, Reason.BUSY),
}
NOTHING_FOUND = 3  # error 3 of get.php: an empty history is reported as an error
NO_TIME = 5  # the error about the scheduled time

# `status` of a message. The reason applies unless `err` gives a better one. -3 (no such message) is
# missing: only a completely read history proves that.
STATUSES: dict[int, tuple[DeliveryStatus, Reason | None]] = {
    -2: (DeliveryStatus.ACCEPTED, None),  # the mailing is paused
    -1: (DeliveryStatus.ACCEPTED, None),  # waiting
    0: (DeliveryStatus.ACCEPTED, None),  # handed to the operator
    1: (DeliveryStatus.DELIVERED, None),
    2: (DeliveryStatus.DELIVERED, None),  # read
    3: (DeliveryStatus.EXPIRED, Reason.EXPIRED),
    4: (DeliveryStatus.DELIVERED, None),  # the short link was clicked
    20: (DeliveryStatus.UNDELIVERED, Reason.OPERATOR_REFUSED),
    22: (DeliveryStatus.UNDELIVERED, Reason.BAD_PHONE),
    23: (DeliveryStatus.UNDELIVERED, Reason.TEXT_FORBIDDEN),  # duplicate, stop list, spam, sender
    24: (DeliveryStatus.UNDELIVERED, Reason.NO_MONEY),
    25: (DeliveryStatus.UNDELIVERED, Reason.NO_ROUTE),  # takes no SMS, or no route
}

# `err` of a message: why it was not delivered.
ERRS: dict[int, Reason] = {
    1: Reason.NO_SUCH_NUMBER,
    6: Reason.UNREACHABLE,
    11: Reason.NO_SMS,
    12: Reason.HANDSET,
    13: Reason.NUMBER_BLOCKED,
    21: Reason.NO_SMS,  # the handset does not support it
    200: Reason.SETTINGS_FORBID,  # test mode: not really sent
    219: Reason.SIM_REPLACED,
    220: Reason.UNREACHABLE,  # the operator's queue for the number is full
    237: Reason.UNREACHABLE,  # no answer (calls only, as 240 and 242)
    238: Reason.TEXT_FORBIDDEN,  # no approved template
    239: Reason.BAD_LOGIN,  # our IP address is not permitted
    240: Reason.UNREACHABLE,
    241: Reason.BAD_REQUEST,  # conversion failed
    242: Reason.UNREACHABLE,
    243: Reason.NO_CONTRACT,
    244: Reason.NO_CONTRACT,  # bulk forbidden, or a link in the text
    245: Reason.NO_RECEIPT,
    246: Reason.HOURS,  # "send only between" with "forbid other times" in the account
    247: Reason.LIMIT,  # daily limit of the account
    248: Reason.NO_ROUTE,
    249: Reason.BAD_PHONE,
    # A limit for mobile numbers that the client has set in the account. Not the stop list: that is status 23
    # without an err.
    250: Reason.SETTINGS_FORBID,
    251: Reason.LIMIT,  # daily limit of the number
    252: Reason.OPERATOR_REFUSED,  # the number is forbidden
    253: Reason.TEXT_FORBIDDEN,  # spam filter
    254: Reason.SENDER_FORBIDDEN,
    255: Reason.OPERATOR_REFUSED,
}
# `err` of a number in the response to send that would affect every message: it passes by itself, or is fixed
# in the account. The message is sent again later.
FOR_ALL = frozenset({200, 239, 243, 244, 246, 247, 254})
FAILED = frozenset({DeliveryStatus.UNDELIVERED, DeliveryStatus.EXPIRED})


def meaning(status: int, err: int | None) -> tuple[DeliveryStatus, Reason | None] | None:
    """Return None for a status that SMSC has not documented."""
    if status not in STATUSES:
        return None
    ours, reason = STATUSES[status]
    # err describes the last attempt: for a delivered message it may still name an earlier failure.
    return ours, (reason_of(err) or reason) if ours in FAILED else None


def reason_of(err: int | None) -> Reason | None:
    """Return None if there was no error."""
    return ERRS.get(err, Reason.OTHER) if err else None

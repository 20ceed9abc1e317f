"""What the codes of SMSC mean in our words. Tables only; the words in comments are SMSC's."""

from integrations.providers.base import DeliveryStatus, Outcome
from integrations.reasons import Reason

# `error_code` of send.php: about the whole request.
ERRORS: dict[int, tuple[Outcome, Reason]] = {
    1: (Outcome.REFUSED, Reason.BAD_REQUEST),  # bad parameters
    2: (Outcome.UNSENT, Reason.BAD_LOGIN),  # wrong login or key, or our address is not permitted
    3: (Outcome.UNSENT, Reason.NO_MONEY),
    4: (Outcome.UNSENT, Reason.ADDRESS_BLOCKED),  # our address, after many bad requests
    5: (Outcome.REFUSED, Reason.BAD_REQUEST),  # bad date format
    6: (Outcome.REFUSED, Reason.TEXT_FORBIDDEN),  # text or sender; bulk without a contract
    7: (Outcome.REFUSED, Reason.BAD_PHONE),
    8: (Outcome.REFUSED, Reason.NO_ROUTE),  # cannot be delivered to this number
    # The same request twice within a minute, or too many at once. The first of these may be the
    # proof that an earlier try was accepted: only the books can tell.
    9: (Outcome.UNKNOWN, Reason.BUSY),
}
NOTHING_FOUND = 3  # what error 3 means to get.php: an empty history comes as an error
NO_TIME = 5  # the error about the time to send at

# `status` of a message; the reason is the nearest one when `err` does not say it better.
# -3 (no such message) is missing: only the complete books prove that.
STATUSES: dict[int, tuple[DeliveryStatus, Reason | None]] = {
    -2: (DeliveryStatus.ACCEPTED, None),  # its mailing was paused
    -1: (DeliveryStatus.ACCEPTED, None),  # waits
    0: (DeliveryStatus.ACCEPTED, None),  # handed to the operator
    1: (DeliveryStatus.DELIVERED, None),
    2: (DeliveryStatus.DELIVERED, None),  # read
    3: (DeliveryStatus.EXPIRED, Reason.EXPIRED),
    4: (DeliveryStatus.DELIVERED, None),  # its short link was followed
    20: (DeliveryStatus.UNDELIVERED, Reason.OPERATOR_REFUSED),
    22: (DeliveryStatus.UNDELIVERED, Reason.BAD_PHONE),
    23: (DeliveryStatus.UNDELIVERED, Reason.TEXT_FORBIDDEN),  # repetition, stop list, spam, sender
    24: (DeliveryStatus.UNDELIVERED, Reason.NO_MONEY),
    25: (DeliveryStatus.UNDELIVERED, Reason.NO_ROUTE),  # takes no SMS, or no route
}

# `err` of a message: why.
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
    239: Reason.BAD_LOGIN,  # our address is not permitted
    240: Reason.UNREACHABLE,
    241: Reason.BAD_REQUEST,  # conversion failed
    242: Reason.UNREACHABLE,
    243: Reason.NO_CONTRACT,
    244: Reason.NO_CONTRACT,  # bulk forbidden, or a link in the text
    245: Reason.NO_RECEIPT,
    246: Reason.HOURS,  # "send only between" with "forbid other times" in the account
    247: Reason.LIMIT,  # of the account, a day
    248: Reason.NO_ROUTE,
    249: Reason.BAD_PHONE,
    # A limit that the client has set for mobile numbers in the account. Not the stop list: who is on
    # that one comes with status 23 alone.
    250: Reason.SETTINGS_FORBID,
    251: Reason.LIMIT,  # of the number, a day
    252: Reason.OPERATOR_REFUSED,  # the number is forbidden
    253: Reason.TEXT_FORBIDDEN,  # spam filter
    254: Reason.SENDER_FORBIDDEN,
    255: Reason.OPERATOR_REFUSED,
}
# `err` of a number in the answer to send that is wrong for everybody: it passes by itself, or is put
# right in the account. Whoever it met goes another time.
FOR_ALL = frozenset({200, 239, 243, 244, 246, 247, 254})
FAILED = frozenset({DeliveryStatus.UNDELIVERED, DeliveryStatus.EXPIRED})


def meaning(status: int, err: int | None) -> tuple[DeliveryStatus, Reason | None] | None:
    """None for a status that SMSC never told us about."""
    if status not in STATUSES:
        return None
    ours, reason = STATUSES[status]
    # err speaks of the last try: of a delivered message it may still name an earlier one.
    return ours, (reason_of(err) or reason) if ours in FAILED else None


def reason_of(err: int | None) -> Reason | None:
    """None when there is nothing to complain of."""
    return ERRS.get(err, Reason.OTHER) if err else None

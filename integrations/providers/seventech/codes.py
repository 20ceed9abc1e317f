"""The words of SevenTech: names of fields and states, and what HTTP statuses mean. Tables only.

Its document could be read in part: each word is marked CERTAIN (its own pages), SEEN (in clients of
the same platform under another brand) or GUESSED. What a live account teaches is corrected here.
"""

from integrations.providers.base import DeliveryStatus, Outcome
from integrations.reasons import Reason

PATH = "/messaging/v1/send"  # CERTAIN, as HTTP Basic with the login and password is
CLIENT_ID = "clientRequestId"  # CERTAIN in a request; that receipts repeat it is GUESSED
CLIENT_ID_LENGTH = 100  # SEEN


def request_of(phone: str, text: str, sender: str, callback: str, client_id: str) -> object:
    """scenario, callback and clientRequestId: CERTAIN. What stands inside scenario: SEEN. One
    recipient in one request: nothing else was ever seen.
    """
    recipient = {"type": "MSISDN", "value": int(phone)}
    element = {"channel": "sms", "recipient": recipient, "sender": sender, "text": text}
    return {"scenario": [element], "callback": callback, CLIENT_ID: client_id}


# Where an answer or a receipt keeps things: the first of these that holds something.
PROVIDER_ID = ("txId", "id")  # txId SEEN in answers; in receipts, and id: GUESSED
STATE = ("state", "status")  # state SEEN in answers; in receipts, and status: GUESSED
ERROR = ("errorCode", "error", "reason")  # GUESSED

# States, in capitals.
STATES: dict[str, tuple[DeliveryStatus, Reason | None]] = {
    "ACCEPTED": (DeliveryStatus.ACCEPTED, None),  # SEEN, all four; what EXPIRED means is GUESSED
    "DELIVERED": (DeliveryStatus.DELIVERED, None),
    "SEEN": (DeliveryStatus.DELIVERED, None),
    "EXPIRED": (DeliveryStatus.EXPIRED, Reason.EXPIRED),
}
# Bad news must have names, too. How they begin is GUESSED; the whole word is kept with the message.
BAD_STATES = ("UNDELIV", "REJECT", "FAIL", "ERROR")

# What an answer without a readable body means. GUESSED, from what HTTP says; whatever is not here
# (5xx above all) may have been acted on. 409 is left out on purpose: it may say that this
# clientRequestId was accepted before.
HTTP: dict[int, tuple[Outcome, Reason]] = {
    400: (Outcome.REFUSED, Reason.BAD_REQUEST),
    401: (Outcome.UNSENT, Reason.BAD_LOGIN),
    402: (Outcome.UNSENT, Reason.NO_MONEY),
    403: (Outcome.UNSENT, Reason.BAD_LOGIN),
    404: (Outcome.REFUSED, Reason.BAD_REQUEST),
    422: (Outcome.REFUSED, Reason.BAD_REQUEST),
    429: (Outcome.UNSENT, Reason.BUSY),
}

# What a person writes back: the query of an older interface is CERTAIN (clientId is the person's
# number), the body of the present one is GUESSED to use the same words or plainer ones.
REPLY_PHONE = ("clientId", "phone", "from")
REPLY_TEXT = ("message", "text")


def meaning(state: str) -> tuple[DeliveryStatus, Reason | None] | None:
    """None for a word that is not in the tables."""
    word = state.strip().upper()
    if word.startswith(BAD_STATES):
        return DeliveryStatus.UNDELIVERED, Reason.OTHER
    return STATES.get(word)

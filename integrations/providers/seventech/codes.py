"""The words of SevenTech: names of fields and states, and the meaning of HTTP statuses. Tables
only.

Its documentation could be read only in part, so each word is marked CERTAIN (from its own pages),
SEEN (in clients of the same platform under another brand) or GUESSED. Correct them here once a live
account shows more.
"""

from integrations.providers.contract import DeliveryStatus, Outcome
from integrations.reasons import Reason

PATH = "/messaging/v1/send"  # CERTAIN, and so is HTTP Basic with login and password
CLIENT_ID = "clientRequestId"  # CERTAIN in a request; GUESSED that receipts repeat it
CLIENT_ID_LENGTH = 100  # SEEN


def request_of(phone: str, text: str, sender: str, callback: str, client_id: str) -> object:
    """scenario, callback and clientRequestId: CERTAIN. The contents of scenario: SEEN. One
    recipient in each request: nothing else was ever seen.
    """
    recipient = {"type": "MSISDN", "value": int(phone)}
    element = {"channel": "sms", "recipient": recipient, "sender": sender, "text": text}
    return {"scenario": [element], "callback": callback, CLIENT_ID: client_id}


# Names of fields in a response or a receipt: the first that is not empty counts.
PROVIDER_ID = ("txId", "id")  # txId SEEN in answers; in receipts, and id: GUESSED
STATE = ("state", "status")  # state SEEN in answers; in receipts, and status: GUESSED
ERROR = ("errorCode", "error", "reason")  # GUESSED

# States, in upper case.
STATES: dict[str, tuple[DeliveryStatus, Reason | None]] = {
    "ACCEPTED": (DeliveryStatus.ACCEPTED, None),  # all four SEEN; the meaning of EXPIRED is GUESSED
    "DELIVERED": (DeliveryStatus.DELIVERED, None),
    "SEEN": (DeliveryStatus.DELIVERED, None),
    "EXPIRED": (DeliveryStatus.EXPIRED, Reason.EXPIRED),
}
# Failures must have names, too. How these begin is GUESSED; the whole word is stored with the
# message.
BAD_STATES = ("UNDELIV", "REJECT", "FAIL", "ERROR")

# The meaning of a response without a readable body. GUESSED from HTTP; anything not listed (5xx
# above all) may have been acted on. 409 is missing on purpose: it may mean that this
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

# A person's reply. The query of an older interface is CERTAIN (clientId is the person's number);
# GUESSED: the body of the present one uses the same or plainer names.
REPLY_PHONE = ("clientId", "phone", "from")
REPLY_TEXT = ("message", "text")


def meaning(state: str) -> tuple[DeliveryStatus, Reason | None] | None:
    """Return None for a word that is not in the tables."""
    word = state.strip().upper()
    if word.startswith(BAD_STATES):
        return DeliveryStatus.UNDELIVERED, Reason.OTHER
    return STATES.get(word)

"""Reading the calls of SevenTech to our webhook: receipts and replies. Pure, and tolerant: how a receipt is
built is not known, so JSON or a form will do. They carry no signature.
"""

import re
from urllib.parse import parse_qsl

from integrations.providers.contract import DeliveryReport, InboundSms, WebhookPayload
from integrations.providers.reading import digits, json_of_call

from .answers import Fields, first, messages_in, raw_state
from .codes import CLIENT_ID, PROVIDER_ID, REPLY_PHONE, REPLY_TEXT, STATE, meaning


def reports_of(note: WebhookPayload) -> list[DeliveryReport]:
    """Raises ValueError if nothing in it can be understood: an unknown word is stored raw, never
    guessed at.
    """
    if replies_of(note):
        return []
    receipts = [fields for fields in _told(note) if first(fields, STATE)]
    # Our own address names the message; of several in one call it could name only one.
    ours = dict(parse_qsl(note.query)) if len(receipts) == 1 else {}
    reports = [report for fields in receipts if (report := _report(fields, ours))]
    if not reports:
        raise ValueError("not a receipt, or of a kind that we do not know")
    return reports


def _report(fields: Fields, ours: Fields) -> DeliveryReport | None:
    reference, phone = ours.get("ref", ""), digits(ours.get("phone", ""))
    if not reference or not phone:
        reference, _, phone = fields.get(CLIENT_ID, "").rpartition("-")
    known = meaning(first(fields, STATE))
    if known is None or not reference or not re.fullmatch("[0-9]{5,15}", phone):
        return None
    status, reason = known
    raw = raw_state(fields) if reason else ""
    return DeliveryReport(
        reference, f"+{phone}", status, reason, raw, provider_id=first(fields, PROVIDER_ID)[:64]
    )


def replies_of(note: WebhookPayload) -> list[InboundSms]:
    """Return [] for calls to the URL of a message: these are about that message, whatever they say."""
    try:
        found = [] if "ref" in dict(parse_qsl(note.query)) else _told(note)
    except ValueError:
        return []
    return [reply for fields in found if (reply := _reply(fields))]


def _reply(fields: Fields) -> InboundSms | None:
    phone, text = digits(first(fields, REPLY_PHONE)), first(fields, REPLY_TEXT)
    return InboundSms(f"+{phone}", text) if phone and text and not first(fields, STATE) else None


def _told(note: WebhookPayload) -> list[Fields]:
    """The messages that a call tells of. ValueError when it is broken."""
    if note.body.lstrip().startswith(("{", "[")):
        return list(messages_in(json_of_call(note.body)))
    form = dict(parse_qsl(note.query)) | dict(parse_qsl(note.body))
    return [form] if form else []

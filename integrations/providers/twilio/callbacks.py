"""Reading the calls of Twilio to our webhook: receipts, replies, and the signature that they carry. Pure."""

import base64
import hashlib
import hmac
from urllib.parse import parse_qs, urlsplit

from integrations.providers.contract import DeliveryReport, InboundSms, WebhookPayload
from integrations.providers.reading import digits, json_of_call, word

from .answers import number, raw_of_code
from .codes import INBOUND, meaning

DEFAULT_PORTS = {"http": 80, "https": 443}
FORM = "application/x-www-form-urlencoded"
RULE_HEADER = "x-twilio-webhooks-signature-settings"
ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


def signed_by(token: str, shared_key: str, note: WebhookPayload) -> bool:
    """True if the signature is valid. X-Twilio-Signature covers our URL, with or without the usual port, and
    every field. If the body is not a form, its digest in the URL covers it (bodySHA256).

    If a Webhooks Rule of the account matches our URL, a header names the algorithm, and the key is the rule's
    shared key instead of the Auth Token: Twilio's own client checks it in this way. That header itself is not
    signed, but neither key can be guessed. Unknown algorithms are refused.
    """
    named = note.headers.get(RULE_HEADER)
    key = token if named is None else shared_key
    algorithm = (
        "sha1" if named is None else ALGORITHMS.get(_settings_of(named).get("algorithm", ""))
    )
    if not key or algorithm is None:
        return False
    digest = _digest_of(note)
    if digest and not hmac.compare_digest(
        hashlib.sha256(note.body.encode()).hexdigest().encode(), digest.lower().encode()
    ):
        return False
    said = "" if digest else _said(note)
    given = note.headers.get("x-twilio-signature", "").encode()
    return any(
        hmac.compare_digest(given, _signature(key, url + said, algorithm))
        for url in _addresses(note.url)
    )


def _settings_of(header: str) -> dict[str, str]:
    """key=...,algorithm=HMAC_SHA256"""
    pairs = (part.partition("=") for part in header.split(","))
    return {name.strip().lower(): value.strip().upper() for name, _, value in pairs}


def _digest_of(note: WebhookPayload) -> str:
    """Return "" for a form: its fields themselves are signed."""
    if note.headers.get("content-type", "").lower().startswith(FORM):
        return ""
    return parse_qs(urlsplit(note.url).query).get("bodySHA256", [""])[0]


def _said(note: WebhookPayload) -> str:
    fields = sorted(_fields_of(note).items())
    return "".join(name + value for name, values in fields for value in values)


def _signature(key: str, text: str, algorithm: str) -> bytes:
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), algorithm))


def _addresses(url: str) -> set[str]:
    parts = urlsplit(url)
    host = parts.netloc.removesuffix(f":{parts.port}")
    port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    return {parts._replace(netloc=netloc).geturl() for netloc in (host, f"{host}:{port}")}


def _fields_of(note: WebhookPayload) -> dict[str, list[str]]:
    """Each value of a field once, in order: so they are signed."""
    fields = parse_qs(note.body, keep_blank_values=True, max_num_fields=200)
    return {name: sorted(set(values)) for name, values in fields.items()}


def reports_of(note: WebhookPayload) -> list[DeliveryReport]:
    """None in a call about what a person wrote. ValueError when it cannot be read."""
    fields = _first(note)
    status = fields.get("MessageStatus") or fields.get("SmsStatus", "")
    if status in INBOUND:
        return []
    reference = parse_qs(note.query).get("ref", [""])[0]
    phone = digits(fields.get("To"))
    code = number(fields.get("ErrorCode"))
    told = meaning(status, code)
    if not reference or not phone or told is None:
        raise ValueError("not a receipt, or of a kind that we do not know")
    ours, reason = told
    raw = raw_of_code(code) if reason else ""
    sid = word(fields.get("MessageSid"))[:64]
    return [DeliveryReport(reference, f"+{phone}", ours, reason, raw, sid)]


def replies_of(note: WebhookPayload) -> list[InboundSms]:
    fields = _first(note)
    phone = digits(fields.get("From"))
    if "MessageStatus" in fields or "Body" not in fields or not phone:
        return []
    stop = {"STOP": True, "START": False}.get(fields.get("OptOutType", ""))
    return [InboundSms(f"+{phone}", fields["Body"], stop=stop)]


def _first(note: WebhookPayload) -> dict[str, str]:
    if note.body.lstrip().startswith("{"):  # we never ask for JSON, but a rule at Twilio may
        told = json_of_call(note.body)
        return {name: str(value) for name, value in told.items() if isinstance(value, str | int)}
    return {name: values[0] for name, values in _fields_of(note).items()}

"""Reading the calls of SMSC to our webhook: receipts, replies, and the check value that they carry. Pure."""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl

from integrations.providers.contract import DeliveryReport, InboundSms, WebhookPayload
from integrations.providers.reading import digits, form_of, json_of_call, text_of

from .answers import codes_of, moment, number
from .codes import meaning


def signed_by(secret: str, note: WebhookPayload) -> bool:
    """Its check value covers id, phone and status, or phone, text and recipient of a reply."""
    try:
        fields, charset = _fields_of(note)
    except ValueError:
        return False
    names = ("phone", "mes", "to") if "mes" in fields else ("id", "phone", "status")
    signed = ":".join([*(fields.get(name, "") for name in names), secret])
    return any(
        hmac.compare_digest(
            hashlib.new(method, signed.encode(charset, "replace"), usedforsecurity=False)
            .hexdigest()
            .encode(),
            fields.get(method, "").lower().encode("utf-8", "replace"),
        )
        for method in ("md5", "sha1")
    )


def reports_of(note: WebhookPayload) -> list[DeliveryReport]:
    """None in a reply. ValueError when it cannot be read."""
    fields, _charset = _fields_of(note)
    return [] if "mes" in fields else [_report(fields)]


def replies_of(note: WebhookPayload) -> list[InboundSms]:
    try:
        fields, _charset = _fields_of(note)
    except ValueError:
        return []
    if "mes" not in fields or not (phone := digits(fields.get("phone"))):
        return []
    return [InboundSms(f"+{phone}", fields["mes"], moment(fields.get("ts")))]


def _report(fields: Mapping[str, str]) -> DeliveryReport:
    reference, phone = fields.get("id", ""), digits(fields.get("phone"))
    status, err = number(fields.get("status")), number(fields.get("err"))
    known = meaning(-3 if status is None else status, err)
    if not reference or not phone or known is None:
        raise ValueError("not a receipt, or of a kind that we do not know")
    ours, reason = known
    return DeliveryReport(
        reference, f"+{phone}", ours, reason, codes_of(status, err) if reason else ""
    )


def _fields_of(note: WebhookPayload) -> tuple[dict[str, str], str]:
    """The fields and the charset they came in. ValueError when there is no reading it."""
    if note.body.lstrip().startswith("{"):
        told = json_of_call(note.body)
        return {str(name): text_of(value) for name, value in told.items()}, "utf-8"
    # Our address may carry options of SMSC (md5=1): what the body says goes over them.
    raw = "&".join(part for part in (note.query, note.body) if part)
    if (form := form_of(raw)) is not None:
        return form, "utf-8"
    for charset in ("utf-8", "windows-1251"):
        try:
            pairs = parse_qsl(raw, keep_blank_values=True, encoding=charset, errors="strict")
        except UnicodeDecodeError:
            continue
        return dict(pairs), charset
    raise ValueError("neither UTF-8 nor windows-1251")

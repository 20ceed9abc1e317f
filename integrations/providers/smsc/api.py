"""Requests to SMSC's HTTP API, and the line that the log has about each. What they say is not known here."""

import logging
import time
from collections.abc import Callable, Mapping

from django.conf import settings

from integrations.providers import submission, transport
from integrations.providers.contract import Credentials
from integrations.providers.transport import Answer

logger = logging.getLogger(__name__)

HOSTS = ("smsc.ru", "smsc.kz", "smsc.ua", "smscentre.com")


class SmscApi:
    def __init__(self, credentials: Credentials, heard: Callable[[Answer], Answer]) -> None:
        """heard: Provider.heard, through which every answer goes."""
        self.credentials = credentials
        self.heard = heard

    @property
    def address(self) -> str:
        host = self.credentials.get("host")
        return settings.PROVIDER_URLS["smsc"] or f"https://{host if host in HOSTS else HOSTS[0]}"

    def ask(
        self,
        command: str,
        fields: Mapping[str, str],
        *,
        deadline: float,
        cap: int = transport.BODY_CAP,
        last_look: Callable[[], bool] | None = None,
    ) -> Answer:
        """Always POST: what is in an address gets into logs on the way. last_look: of what sends messages."""
        who = {"apikey": self.credentials.get("apikey")}
        if not who["apikey"]:
            who = {
                "login": self.credentials.get("login"),
                "psw": self.credentials.get("password"),
            }
        data = {**who, "fmt": "3", "charset": "utf-8", **fields}
        address = f"{self.address}/sys/{command}.php"
        if last_look is None:
            answer = transport.post(address, data=data, deadline=deadline, cap=cap)
        else:
            answer = submission.post(
                address, data=data, deadline=deadline, cap=cap, last_look=last_look
            )
        return self.heard(answer)


def log(
    command: str,
    reference: str,
    count: int,
    answer: Answer,
    began: float,
    counts: Mapping[str, int],
) -> None:
    """One line per request; no phones, texts or secrets."""
    logger.info(
        "smsc %s %s: %d messages, %s, %s, %d ms",
        command,
        reference or "-",
        count,
        answer.error or f"http {answer.status}",
        " ".join(f"{name} {n}" for name, n in counts.items()) or "-",
        (time.monotonic() - began) * 1000,
    )

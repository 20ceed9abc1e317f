"""Requests to Twilio's REST API for one account, and the line that the log has about some of them."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote

from django.conf import settings

from integrations.providers import submission, transport
from integrations.providers.contract import Credentials
from integrations.providers.transport import Answer

logger = logging.getLogger(__name__)

PAGE = 1000  # messages in one page of its list: its maximum
PAGE_CAP = 16_000_000


class TwilioApi:
    def __init__(self, credentials: Credentials, heard: Callable[[Answer], Answer]) -> None:
        """heard: Provider.heard, through which every answer goes."""
        self.account = credentials.get("account_sid")
        self.heard = heard
        key = (credentials.get("api_key_sid"), credentials.get("api_key_secret"))
        self.auth = key if all(key) else (self.account, credentials.get("auth_token"))

    @property
    def address(self) -> str:
        return settings.PROVIDER_URLS["twilio"] or "https://api.twilio.com"

    def submit(
        self, fields: Mapping[str, str], *, deadline: float, last_look: Callable[[], bool]
    ) -> Answer:
        """Send a message."""
        return self.heard(
            submission.post(
                self._url("Messages"),
                data=fields,
                deadline=deadline,
                auth=self.auth,
                last_look=last_look,
            )
        )

    def post(self, path: str, fields: Mapping[str, str], *, deadline: float) -> Answer:
        url = self._url(path)
        return self.heard(transport.post(url, data=fields, deadline=deadline, auth=self.auth))

    def get(self, path: str, deadline: float, **params: str) -> Answer:
        return self.heard(
            transport.get(
                self._url(path), params=params, deadline=deadline, auth=self.auth, cap=PAGE_CAP
            )
        )

    def messages(self, deadline: float, **params: str) -> Answer:
        """The first page of a list of messages."""
        return self.get("Messages", deadline, **params, PageSize=str(PAGE))

    def following(self, next_page: str, deadline: float) -> Answer:
        """The page that another one names in its next_page_uri."""
        return self.heard(
            transport.get(self.address + next_page, deadline=deadline, auth=self.auth, cap=PAGE_CAP)
        )

    def _url(self, path: str) -> str:
        return f"{self.address}/2010-04-01/Accounts/{quote(self.account, safe='')}/{path}.json"


def message_path(sid: str) -> str:
    return f"Messages/{quote(sid, safe='')}"


def log(what: str, reference: str, outcomes: Iterable[str], began: float) -> None:
    """One line per burst; no phones, texts or secrets."""
    counts = Counter(outcomes)
    logger.info(
        "twilio %s %s: %s, %d ms",
        what,
        reference or "-",
        " ".join(f"{name} {n}" for name, n in counts.items()) or "-",
        (time.monotonic() - began) * 1000,
    )

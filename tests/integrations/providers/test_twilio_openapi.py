"""Real requests of the adapter, judged by Twilio's own OpenAPI document: a server on loopback that
refuses whatever the document does not allow, and answers with its examples.

answers/twilio_openapi.json is a trimmed copy of the official document (twilio/twilio-oai), with the
answers 4xx, the bounds and the either-or rules that stand only in the prose.
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from openapi_core import OpenAPI
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest
from openapi_core.exceptions import OpenAPIError
from werkzeug import Request, Response
from werkzeug.serving import make_server

from integrations.providers import submission
from integrations.providers.contract import Credentials, LookupItem, LookupRequest, Outcome, Sms
from integrations.providers.twilio.service import Twilio
from smsmail.uptime import clock
from tests.emulators.twilio_rows import ACCOUNT, SERVICE

DOCUMENT = Path(__file__).parent / "answers" / "twilio_openapi.json"
SID = "SM" + "a" * 32


class Mock:
    """Stateless: the first example of each operation, or 400 and why."""

    def __init__(self) -> None:
        document = json.loads(DOCUMENT.read_text())
        self.server = make_server("127.0.0.1", 0, self.serve, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        # The document names Twilio's own host; everything else of it is left as it is.
        self.document = OpenAPI.from_dict(document | {"servers": [{"url": self.url}]})
        self.paths = document["paths"]
        self.accepted: list[str] = []  # operations
        self.refused: list[str] = []

    def serve(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        try:
            self.document.validate_request(WerkzeugOpenAPIRequest(request))
        except OpenAPIError as error:
            self.refused.append(str(error.__cause__ or error))
            return Response(status=400)(environ, start_response)
        template = next(path for path in self.paths if fits(path, request.path))
        operation = self.paths[template][request.method.lower()]
        self.accepted.append(operation["operationId"])
        status = next(iter(operation["responses"]))
        examples = operation["responses"][status]["content"]["application/json"]["examples"]
        example = next(iter(examples.values()))["value"]
        body = json.dumps(example)
        answer = Response(body, int(status), content_type="application/json")
        return answer(environ, start_response)


def fits(template: str, path: str) -> bool:
    places = zip(template.split("/"), path.split("/"), strict=False)
    same = template.count("/") == path.count("/")
    return same and all(ours.startswith("{") or ours == theirs for ours, theirs in places)


@pytest.fixture
def mock(settings: Any) -> Iterator[Mock]:
    served = Mock()
    threading.Thread(target=served.server.serve_forever, daemon=True).start()
    settings.PROVIDER_URLS = settings.PROVIDER_URLS | {"twilio": served.url}
    yield served
    served.server.shutdown()
    served.server.server_close()


def twilio(sender: str = "School", **more: str) -> Twilio:
    values = {"account_sid": ACCOUNT, "auth_token": "made-up-token"} | more
    return Twilio(Credentials(values, sender), "https://sms.example.com/hooks/twilio/key/")


def send(adapter: Twilio, text: str = "Привет, Мария!\nУрок в 10:00 & ещё") -> Outcome:
    [result] = adapter.send("ref1", [Sms(1, "+79980000001", text)], clock() + 60)
    return result.outcome


@pytest.mark.parametrize(
    "adapter",
    [
        twilio(),
        twilio("+14155550100"),
        twilio("", messaging_service_sid=SERVICE),
        twilio("School", messaging_service_sid=SERVICE),
    ],
    ids=["letters", "number", "service", "both"],
)
def test_it_takes_our_messages(mock: Mock, adapter: Twilio) -> None:
    assert send(adapter) == Outcome.TAKEN
    assert mock.accepted == ["CreateMessage"]
    assert not mock.refused


def test_it_takes_our_questions(mock: Mock) -> None:
    adapter = twilio()
    asked = (LookupItem("+79980000001", "Hello", SID), LookupItem("+79980000002", "Hello"))
    adapter.look_up([LookupRequest("ref1", asked, timezone.now())])
    adapter.cancel("ref1", asked)
    assert adapter.balance().currency == "USD"
    assert not mock.refused
    assert sorted(mock.accepted) == [
        "FetchBalance",
        "FetchMessage",
        "ListMessage",
        "UpdateMessage",
    ]
    assert not mock.refused


@pytest.mark.parametrize(
    ("adapter", "text"),
    [
        (twilio(""), "Hello"),
        (twilio("", messaging_service_sid="MG1"), "Hello"),
        (twilio(), "x" * 1601),
        (twilio(), ""),
        (twilio(account_sid="AC1"), "Hello"),
    ],
    ids=["no sender", "no such service", "too long", "no text", "no such account"],
)
def test_it_refuses_what_the_document_does_not_allow(
    mock: Mock, adapter: Twilio, text: str
) -> None:
    assert send(adapter, text) == Outcome.UNKNOWN
    assert not mock.accepted
    assert mock.refused


def test_it_refuses_a_request_without_a_login(mock: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = twilio()
    post = submission.post
    monkeypatch.setattr(
        submission, "post", lambda *args, **more: post(*args, **{**more, "auth": None})
    )
    assert send(adapter) == Outcome.UNKNOWN
    assert not mock.accepted

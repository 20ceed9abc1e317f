"""What a message costs where each takes a request of its own (Twilio's shape, over TLS on loopback): the service
of single.py, a stub in a process of its own that says yes to everything, after a time; and, as a program, the CPU of
the request alone.
"""

import argparse
import asyncio
import ipaddress
import itertools
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from integrations.providers.base import Provider

ACCOUNT = {"account_sid": "AC" + "0123456789abcdef" * 2, "auth_token": "made-up-token"}
TEXT = "Здравствуйте! Вебинар начнётся в 19:00, ссылка придёт на anna@example.com."
REPLY = (
    '{{"sid": "SM{:032x}", "status": "queued", "error_code": null, "price": null, '
    '"price_unit": "USD", "num_segments": "1", "direction": "outbound-api"}}'
)
HEAD = (
    "HTTP/1.1 201 Created\r\nDate: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n"
    "Twilio-Request-Id: RQ0123456789abcdef\r\nX-Home-Region: us1\r\nConnection: keep-alive\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU of this process for one message, in microseconds."""

    request: float  # the request and its answer alone, on a kept connection
    with_requests: float  # the same through transport.post: requests, a new connection for each
    send: float  # through Twilio.send(): threads, places, parsing


# --- what is measured ------------------------------------------------------------------------
def cost(messages: int = 2_000, repeats: int = 3) -> Cost:
    """Needs Django to be set up, and no database. The best of the repeats."""
    from integrations.providers import submission, transport
    from integrations.providers.contract import Outcome, Sms
    from integrations.routing import routing
    from smsmail.uptime import clock

    with stub() as url, trusting(url):
        address = f"{url}/2010-04-01/Accounts/{ACCOUNT['account_sid']}/Messages.json"
        form = {"To": "+79980000077", "From": "School", "Body": TEXT}
        login = (ACCOUNT["account_sid"], ACCOUNT["auth_token"])

        def ask(post: Callable[..., transport.Answer], count: int) -> None:
            for _ in range(count):
                answer = post(address, data=form, deadline=clock() + 60, auth=login)
                assert answer.status == 201, answer

        def send() -> None:
            numbers = itertools.count(1)
            twilio = routing.provider_class("twilio")
            for start in range(0, messages, twilio.batch):
                size = min(twilio.batch, messages - start)
                batch = [
                    Sms(key, f"+7998{key:07}", TEXT) for key in itertools.islice(numbers, size)
                ]
                results = _twilio().send("bench", batch, clock() + 60)
                assert all(result.outcome == Outcome.TAKEN for result in results), results

        few = max(messages // 10, 20)
        return Cost(
            request=_best(repeats, messages, lambda: ask(submission.post, messages)),
            with_requests=_best(repeats, few, lambda: ask(transport.post, few)),
            send=_best(repeats, messages, send),
        )


def _twilio() -> "Provider":
    from integrations.providers.contract import Credentials
    from integrations.routing import routing

    credentials = Credentials(values=ACCOUNT, sender="School")
    return routing.provider_class("twilio")(credentials, "https://school.example/hooks/twilio/key/")


def _best(repeats: int, messages: int, do: Callable[[], None]) -> float:
    """CPU microseconds for one of the messages; the first run, which connects, does not count."""
    do()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        do()
        times.append((time.process_time() - began) / messages * 1e6)
    return min(times)


# --- the stub --------------------------------------------------------------------------------
@contextmanager
def stub(latency: float = 0.0) -> Iterator[str]:
    """Start the stub, whose certificate is in a file of its own, and yield its URL."""
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder) / "certificate.pem"
        make_certificate(certificate)
        command = [sys.executable, "-m", "benchmarks.one_by_one", "--serve", str(certificate)]
        command += ["--latency", str(latency)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                raise RuntimeError("the stub did not start")
            yield f"https://127.0.0.1:{port}#{certificate}"
        finally:
            process.terminate()
            process.wait()


@contextmanager
def trusting(url: str) -> Iterator[None]:
    """Send to the stub at this URL, and trust its certificate."""
    from django.conf import settings
    from requests import adapters

    parts = urlsplit(url)
    before = adapters.DEFAULT_CA_BUNDLE_PATH, settings.PROVIDER_URLS
    adapters.DEFAULT_CA_BUNDLE_PATH = parts.fragment
    settings.PROVIDER_URLS = {**before[1], "twilio": f"{parts.scheme}://{parts.netloc}"}
    try:
        yield
    finally:
        adapters.DEFAULT_CA_BUNDLE_PATH, settings.PROVIDER_URLS = before


class Answering(asyncio.Protocol):
    """Answers each request of one connection, as soon as its time has come."""

    numbers = itertools.count(1)

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.came += data
        head, end, body = self.came.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0)
        if not end or len(body) < length:
            return
        self.came = body[length:]
        asyncio.get_running_loop().call_later(self.latency, self.answer)

    def answer(self) -> None:
        body = REPLY.format(next(self.numbers))
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        self.transport.write((HEAD.format(date, len(body)) + body).encode())


async def serve(certificate: str, latency: float) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Answering(latency), "127.0.0.1", 0, ssl=context, backlog=512
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def make_certificate(path: Path) -> None:
    """Write a self-signed certificate for 127.0.0.1 and its key into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([here]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Where each message takes a request of its own")
    parser.add_argument("--serve", help="be the stub, with the certificate in this file")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds")
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve, given.latency))
        return 0
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsmail.settings")
    django.setup()
    found = cost()
    print(
        f"CPU of a message: request {found.request:,.0f} us, the same with requests "
        f"{found.with_requests:,.0f} us ({found.with_requests / found.request:.1f} times), "
        f"through Twilio.send() {found.send:,.0f} us"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

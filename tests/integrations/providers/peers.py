"""Servers on loopback for the tests of our ways to the network: each does with a connection what a test says."""

import contextlib
import ipaddress
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Behaviour = Callable[[socket.socket], None]
Peer = Callable[..., str]


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def peer() -> Iterator[Peer]:
    """peer(behaviour) listens, and does with each connection what the behaviour says."""
    with contextlib.ExitStack() as stack:

        def listen(behave: Behaviour, scheme: str = "http") -> str:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            threading.Thread(target=_accept, args=[server, behave], daemon=True).start()
            return f"{scheme}://127.0.0.1:{server.getsockname()[1]}/"

        yield listen


def _accept(server: socket.socket, behave: Behaviour) -> None:
    with contextlib.suppress(OSError):  # the test is over
        while True:
            connection, _address = server.accept()
            with connection, contextlib.suppress(OSError):
                behave(connection)


def read(connection: socket.socket) -> bytes:
    """The whole request."""
    came = b""
    while b"text=Hello" not in came and b"{" not in came:
        piece = connection.recv(65536)
        if not piece:
            break
        came += piece
    return came


def answering(raw: bytes, *, then: Behaviour | None = None) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        read(connection)
        connection.sendall(raw)
        if then:
            then(connection)

    return behave


def hang(connection: socket.socket) -> None:
    connection.settimeout(10)
    while connection.recv(65536):
        pass


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def read_and_reset(connection: socket.socket) -> None:
    read(connection)
    reset(connection)


def silence(connection: socket.socket) -> None:
    """Returns, so the connection is closed."""


def drip(raw: bytes) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        for byte in raw:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)

    return behave


def in_tls(certificate: Path, behave: Behaviour) -> Behaviour:
    def talk(connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with context.wrap_socket(connection, server_side=True) as tls:
            behave(tls)

    return talk


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed one for 127.0.0.1, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path

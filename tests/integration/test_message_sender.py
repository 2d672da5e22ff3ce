"""Where an attempt goes: to the address that was looked up once and checked, by TLS that still checks the name."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.model.webhook_message import Message
from app.webhooks import message_sender
from app.webhooks.message_sender import Outcome, Sender

MESSAGE = Message("msg_1", "granted", b"{}")
HOST = "hooks.example"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


class Names:
    """A name server. answers: the addresses of each look-up, in turn; the last stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.questions: list[str] = []
        self._answers = list(answers)
        monkeypatch.setattr(socket, "getaddrinfo", self._answer)

    def _answer(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.questions.append(host)
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [(0, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


class Server:
    """Answers each connection, with 204 if nothing else, and closes it. requests: what came."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, answers: Iterable[bytes] = (NO_CONTENT,)) -> None:
        self.requests: list[bytes] = []
        self._answers = answers
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                self._answer(self._tls.wrap_socket(connection, server_side=True) if self._tls else connection)

    def _answer(self, stream: socket.socket) -> None:
        with stream:
            request = b""
            # Who closes with something unread resets the connection, and the answer may be lost.
            while not request.endswith(b"\r\n\r\n" + MESSAGE.body) and (piece := stream.recv(65_536)):
                request += piece
            self.requests.append(request)
            for answer in self._answers:
                stream.sendall(answer)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


def send(url: str, tls: ssl.SSLContext | None = None, *, takes_loopback: bool = True) -> Outcome:
    async def run() -> Outcome:
        sender = Sender(takes_loopback=takes_loopback, tls=tls)
        return await sender.send(url, MESSAGE, [b"k" * 32], "k1")

    return asyncio.run(run())


@pytest.fixture
def server() -> Iterator[Server]:
    with closing(Server()) as server:
        yield server


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]]:
    """Makes a server's side and a client's side of TLS, for a certificate of a name."""
    folder = tmp_path_factory.mktemp("tls")

    def make(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        file = _certificate(folder, name)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(file)
        return server, ssl.create_default_context(cafile=str(file))

    return make


def _certificate(folder: Path, name: str) -> Path:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encodings = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = folder / f"{name}.pem"
    file.write_bytes(key.private_bytes(*encodings) + certificate.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["fe80::1%1"],
        ["93.184.216.34", "127.0.0.1"],
        ["2606:4700::1111", "fd00::1"],
    ],
)
def test_a_name_that_leads_inside_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch, server: Server, addresses: list[str]
) -> None:
    names = Names(monkeypatch, addresses)
    outcome = send(f"https://{HOST}:{server.port}/", takes_loopback=False)
    assert outcome == Outcome(None, "its name leads to an address that is not public")
    assert (server.requests, names.questions) == ([], [HOST])


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "2130706433", "127.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_every_way_to_write_this_machine_is_refused(server: Server, host: str) -> None:
    outcome = send(f"https://{host}:{server.port}/", takes_loopback=False)
    assert outcome.status is None
    assert server.requests == []


def test_a_name_that_changes_its_address_is_looked_up_once(
    monkeypatch: pytest.MonkeyPatch, certified: Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]]
) -> None:
    """The second answer would lead elsewhere; and TLS is about the name, not the address."""
    names = Names(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
    tls, own_tls = certified(HOST)
    with closing(Server(tls)) as server:
        assert send(f"https://{HOST}:{server.port}/a?b=c", own_tls) == Outcome(204)
        (request,) = server.requests
    assert names.questions == [HOST]
    assert request.startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert b"\r\nhost: %b:%d\r\n" % (HOST.encode(), server.port) in request.lower()


def test_a_certificate_of_another_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, certified: Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]]
) -> None:
    Names(monkeypatch, ["127.0.0.1"])
    tls, own_tls = certified("other.example")
    with closing(Server(tls)) as server:
        outcome = send(f"https://{HOST}:{server.port}/", own_tls)
        assert server.requests == []
    assert (outcome.status, (outcome.error or "").split(":")[0]) == (None, "TLS failed")


def test_http_goes_to_this_machine_alone(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    assert send(f"http://localhost:{server.port}/") == Outcome(204)
    Names(monkeypatch, ["93.184.216.34"])
    assert send("http://localhost/").error == "its name leads to an address that is not public"
    assert "https" in (send(f"http://{HOST}/").error or "")


def test_the_second_address_has_its_turn(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    Names(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    assert send(f"http://localhost:{server.port}/") == Outcome(204)


def test_a_name_server_that_hangs_takes_an_attempt_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it hold up the end of the process."""
    monkeypatch.setattr(message_sender, "ATTEMPT_S_MAX", 0.05)
    end = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        end.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        assert (send(f"https://{HOST}/").error or "").startswith("no answer")
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "webhook-name"]
        assert thread.daemon
    finally:
        end.set()
        thread.join()


@pytest.mark.parametrize("is_secure", [False, True])
def test_an_answer_that_never_begins_is_left(
    monkeypatch: pytest.MonkeyPatch,
    certified: Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]],
    is_secure: bool,
) -> None:
    """Before an answer there may be others, which say that it will come; each takes the persister's time."""
    Names(monkeypatch, ["127.0.0.1"])
    tls, own_tls = certified(HOST) if is_secure else (None, None)
    with closing(Server(tls, answers=repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000))) as server:
        url = f"https://{HOST}:{server.port}/" if is_secure else f"http://localhost:{server.port}/"
        assert send(url, own_tls) == Outcome(None, "its answer is not HTTP/1.1")


def test_some_answers_before_the_answer_are_passed_over() -> None:
    with closing(Server(answers=chain(repeat(b"HTTP/1.1 100 Continue\r\n\r\n", 99), [NO_CONTENT]))) as server:
        assert send(f"http://localhost:{server.port}/") == Outcome(204)

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
from app.webhooks import message_sender, receiver_line
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
        line = sender.line()
        try:
            return await sender.send(url, MESSAGE, [b"k" * 32], "k1", line)
        finally:
            await line.close()

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


class PatientServer:
    """Answers requests on each connection until it has answered so many, and hangs up then, or at the next request.
    counts: the requests of each connection so far; pieces: what each request came in."""

    def __init__(self, requests_max: int = 1_000, *, waits: bool = False, answer: bytes = NO_CONTENT) -> None:
        self.counts: list[int] = []
        self.pieces: list[int] = []
        self._requests_max = requests_max
        self._waits = waits
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://localhost:{self._socket.getsockname()[1]}/"
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.counts.append(0)
                thread = threading.Thread(target=self._talk, args=(connection, len(self.counts) - 1), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _talk(self, connection: socket.socket, i: int) -> None:
        with connection, suppress(OSError):
            while self.counts[i] < self._requests_max or self._waits:
                request, pieces = b"", 0
                while not request.endswith(b"\r\n\r\n" + MESSAGE.body):
                    piece = connection.recv(65_536)
                    if not piece:
                        return
                    request, pieces = request + piece, pieces + 1
                if self.counts[i] == self._requests_max:
                    return
                self.counts[i] += 1
                self.pieces.append(pieces)
                connection.sendall(self._answer)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(10)


def send_many(*urls: str) -> list[Outcome]:
    """One after the other, by one line."""

    async def run() -> list[Outcome]:
        sender = Sender(takes_loopback=True)
        line = sender.line()
        try:
            return [await sender.send(url, MESSAGE, [b"k" * 32], "k1", line) for url in urls]
        finally:
            await line.close()

    return asyncio.run(run())


def test_messages_that_follow_each_other_share_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, ["127.0.0.1"])
    with closing(PatientServer()) as server:
        assert send_many(*[server.url] * 3) == [Outcome(204)] * 3
    assert (server.counts, server.pieces) == ([3], [1, 1, 1]), "head and body come together"
    assert names.questions == ["localhost"]


@pytest.mark.parametrize("waits", [False, True], ids=["before", "at"])
def test_a_receiver_may_hang_up_between_two_messages(waits: bool) -> None:
    """Before the second one, or as that comes: it goes by a new connection, and no attempt has failed."""
    with closing(PatientServer(1, waits=waits)) as server:
        assert send_many(server.url, server.url) == [Outcome(204)] * 2
    assert server.counts == [1, 1]


def test_a_receiver_that_hangs_up_on_a_new_connection_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(PatientServer(0, waits=True)) as server:
        (outcome,) = send_many(server.url)
    assert (outcome.error, len(server.counts)) == ("it hung up without an answer", 1)


@pytest.mark.parametrize("limit", ["LINE_S_MAX", "LINES_MAX"])
def test_a_connection_is_kept_for_a_time_and_where_there_is_room(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(receiver_line, limit, 0)
    with closing(PatientServer()) as server:
        assert send_many(server.url, server.url) == [Outcome(204)] * 2
    assert server.counts == [1, 1]


def test_another_receiver_has_a_connection_of_its_own() -> None:
    with closing(PatientServer()) as first, closing(PatientServer()) as second:
        assert send_many(first.url, second.url, second.url) == [Outcome(204)] * 3
    assert (first.counts, second.counts) == ([1], [2])


def test_an_answer_that_is_not_read_to_its_end_ends_the_connection() -> None:
    body = b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n" + b"x" * 10_000
    with closing(PatientServer(answer=body)) as server:
        assert send_many(server.url, server.url) == [Outcome(200)] * 2
    assert server.counts == [1, 1]


def test_each_answer_of_a_connection_has_its_own_bound() -> None:
    # 37 kB before the answer: two of them would be too many.
    answer = b"HTTP/1.1 102 Processing\r\nx: %b\r\n\r\n" % (b"y" * 350) * 90 + NO_CONTENT
    with closing(PatientServer(answer=answer)) as server:
        assert send_many(server.url, server.url) == [Outcome(204)] * 2
    assert server.counts == [2]

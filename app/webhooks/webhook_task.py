"""One webhook's deliveries: one message in flight, in the order of each stream, each again until it is taken."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from time import monotonic
from typing import NamedTuple

import asyncpg
import msgspec
import structlog

from ..access.secret_box import SecretBox
from ..drivers.postgres import Fetch
from ..metrics import WEBHOOK_ATTEMPTS, WEBHOOK_SECONDS
from ..model.webhook import WebhookSettings
from ..model.webhook_message import Message
from ..model.webhook_problem import NotConfigured
from .delivery_session import LOST, DelivererSession
from .message_sender import RETRY_AFTER_S_MAX, Outcome, Sender
from .newest_entries import NewestEntries
from .stream import Head, Stream, StreamState
from .webhook_rights import Judge

log = structlog.get_logger()

#: Seconds before the second attempt; each later pause is twice as long.
RETRY_S = 1.0
#: Seconds of the longest pause: a receiver that was away for a day has its messages again soon after.
RETRY_S_MAX = 900.0
#: Share of a pause that chance takes off it, so that receivers of many messages are not asked at one moment.
JITTER = 0.5
#: How long a message is tried before it is given up: over a weekend.
GIVE_UP_AFTER = timedelta(days=3)
#: Seconds between two looks for new messages, while the ledger has nothing new for it.
LOOK_S = 1.0
#: Seconds between two attempts of all webhooks while the process writes a ledger that is behind.
CROWD_PAUSE_S = 0.05
#: Messages of a webhook that were delivered and are remembered.
DELIVERIES_MAX = 1_000
#: Messages between two times that older ones are forgotten.
TRIM_EVERY = 100
#: Characters of an error that are remembered.
ERROR_CHARS_MAX = 200
#: Doublings after which a pause is the longest in any case.
_DOUBLINGS_MAX = 30

_encode = msgspec.json.Encoder().encode


class StoppedError(Exception):
    """Nothing may be delivered to the webhook any more. The text says why. is_gone: the receiver wants no more."""

    def __init__(self, reason: str, *, is_gone: bool = False) -> None:
        super().__init__(reason)
        self.is_gone = is_gone


class Gates:
    """How many attempts are under way: of each key, and in all. is_crowded: whether the process has something to do
    that goes before; then attempts begin one by one, with pauses."""

    def __init__(self, is_crowded: Callable[[], bool], *, key_attempts_max: int, attempts_max: int) -> None:
        self._is_crowded = is_crowded
        self._key_attempts_max = key_attempts_max
        self._keys: dict[str, asyncio.Semaphore] = {}
        self._all = asyncio.Semaphore(attempts_max)
        self._crowd = asyncio.Lock()

    @asynccontextmanager
    async def attempt(self, key_id: str) -> AsyncIterator[None]:
        """Holds a place for an attempt of a webhook of a key."""
        of_key = self._keys.setdefault(key_id, asyncio.Semaphore(self._key_attempts_max))
        async with of_key, self._all:
            if self._is_crowded():
                async with self._crowd:
                    await asyncio.sleep(CROWD_PAUSE_S)
            yield


class WebhookRecord(NamedTuple):
    """A webhook as the deliverer knows it. version: of what a client wrote."""

    number: int
    version: int
    id: str
    key_id: str
    key_hash: str | None
    settings: WebhookSettings


class WebhookTask:
    """The task of one webhook."""

    def __init__(
        self,
        webhook: WebhookRecord,
        streams: Sequence[Stream],
        retries: Sequence[asyncpg.Record],
        *,
        session: DelivererSession,
        fetch: Fetch,
        newest: NewestEntries,
        sender: Sender,
        gates: Gates,
        judge: Judge,
        box: SecretBox,
    ) -> None:
        """retries: what waits for its next attempt; session: writes; fetch: reads."""
        self._webhook = webhook
        self._streams = streams
        self._retries = retries
        self._session = session
        self._fetch = fetch
        self._newest = newest
        self._sender = sender
        self._line = sender.line()
        self._gates = gates
        self._judge = judge
        self._box = box
        self._attempts: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._count = 0

    async def run(self) -> None:
        """Delivers, for ever. StoppedError; asyncpg's errors."""
        try:
            await self._run()
        finally:
            await self._line.close()

    async def _run(self) -> None:
        for row in self._retries:
            self._attempts[row["stream"]] = row["attempts"]
            pause_s = (row["next_attempt_at"] - row["now"]).total_seconds()
            # No pause is longer: the clock of Postgres was set back, perhaps by years.
            self._due[row["stream"]] = monotonic() + (0 if pause_s > RETRY_AFTER_S_MAX else pause_s)
        while True:
            was_busy = False
            for stream in self._streams:
                if self._due.get(stream.name, 0.0) > monotonic():
                    continue
                head = await stream.head()
                if head is not None:
                    was_busy = True
                    await self._deliver(stream, head)
                elif stream.name in self._due:
                    await self._forget_retry(stream)
            if not was_busy:
                await self._line.close()
                await self._newest.wait(self._webhook.settings.namespaces, LOOK_S)

    async def _deliver(self, stream: Stream, head: Head) -> None:
        async with self._gates.attempt(self._webhook.key_id):
            # What is judged and made here goes out at once: it never waits for a place behind others.
            row = await self._rights()
            outcome = await self._attempt(stream, head, row)
        if outcome is None:
            await self._settle(stream, head, None, None)
            return
        if outcome.error is None:
            await self._settle(stream, head, "delivered", outcome)
        elif outcome.is_gone:
            raise StoppedError("the receiver answered 410: it wants no more", is_gone=True)
        else:
            await self._retry(stream, head, outcome)

    async def _rights(self) -> asyncpg.Record:
        """The webhook's row with its secrets. StoppedError where nothing may be told any more."""
        rows = await self._fetch("get_webhook_rights", self._webhook.number)
        if not rows:
            raise StoppedError("it was deleted")
        refusal = self._judge.refusal(self._webhook, rows[0]["scopes"])
        if refusal is not None:
            raise StoppedError(refusal)
        return rows[0]

    async def _attempt(self, stream: Stream, head: Head, row: asyncpg.Record) -> Outcome | None:
        """What came of an attempt; None where nothing may go out. A message that cannot be made fails by itself: the
        other streams and webhooks go on."""
        try:
            message = await stream.render(head)
        except LOST:
            raise
        except Exception:
            log.exception("a message to a webhook cannot be made", webhook=self._webhook.id, message=head.message_id)
            return Outcome(None, "its message cannot be made; the persister's log tells why")
        return None if message is None else await self._send(message, row)

    async def _send(self, message: Message, row: asyncpg.Record) -> Outcome:
        start_s = monotonic()
        try:
            secrets = self._secrets(row)
        except NotConfigured as problem:
            return Outcome(None, problem.detail)
        outcome = await self._sender.send(
            self._webhook.settings.url, message, secrets, self._webhook.key_id, self._line
        )
        WEBHOOK_SECONDS.observe(monotonic() - start_s)
        WEBHOOK_ATTEMPTS.labels("failed" if outcome.error else "delivered").inc()
        return outcome

    def _secrets(self, row: asyncpg.Record) -> list[bytes]:
        """What signs now: the present secret, and the one before for as long as it can be opened. NotConfigured."""
        secrets = [self._box.open(bytes(row["secret"]), self._webhook.id)]
        if row["previous_secret"] is not None:
            with suppress(NotConfigured):
                secrets.append(self._box.open(bytes(row["previous_secret"]), self._webhook.id))
        return secrets

    async def _retry(self, stream: Stream, head: Head, outcome: Outcome) -> None:
        """The next attempt follows after a pause; or none, if the message was tried for long enough."""
        attempts = self._attempts.get(stream.name, 0) + 1
        pause_s = min(RETRY_S_MAX, RETRY_S * 2 ** min(attempts - 1, _DOUBLINGS_MAX)) * (1 - JITTER * random.random())
        pause_s = max(pause_s, outcome.retry_after_s)
        rows = await self._session.fetch(
            "put_webhook_retry", self._webhook.number, stream.name, head.message_id, pause_s
        )
        if not rows:
            raise StoppedError("it was deleted")
        if rows[0]["now"] - rows[0]["first_attempt_at"] >= GIVE_UP_AFTER:
            log.warning("a message to a webhook is given up", webhook=self._webhook.id, message=head.message_id)
            WEBHOOK_ATTEMPTS.labels("dead").inc()
            await self._settle(stream, head, "dead", outcome)
            return
        self._attempts[stream.name], self._due[stream.name] = rows[0]["attempts"], monotonic() + pause_s
        note = _note(head, stream.failing_state, outcome)
        await self._session.fetch("note_webhook_delivery", self._webhook.number, *note)

    async def _settle(self, stream: Stream, head: Head, state: str | None, outcome: Outcome | None) -> None:
        """Goes on behind a message. state: what became of it; None: nothing may go out of it."""
        behind: StreamState = stream.state_behind(head, is_dropped=state is None)
        await self._session.fetch(
            "settle_webhook_message",
            *(self._webhook.number, stream.name),
            *_note(head, state, outcome),
            *behind,
        )
        stream.pass_head(head, is_dropped=state is None)
        self._attempts.pop(stream.name, None)
        self._due.pop(stream.name, None)
        self._count += 1
        if self._count % TRIM_EVERY == 0:
            await self._session.fetch("trim_webhook_deliveries", self._webhook.number, DELIVERIES_MAX)

    async def _forget_retry(self, stream: Stream) -> None:
        """What failed is not to be told any more: the board has changed since."""
        await self._session.fetch("delete_webhook_retry", self._webhook.number, stream.name)
        self._attempts.pop(stream.name, None)
        self._due.pop(stream.name, None)


def _note(head: Head, state: str | None, outcome: Outcome | None) -> tuple[str | int | None, ...]:
    """What is noted of an attempt: message, type, place, state, status, error. state: None where nothing went out."""
    place = _encode(head.place).decode()
    status, error = (None, None) if outcome is None else outcome[:2]
    return head.message_id, head.type, place, state, status, error and error[:ERROR_CHARS_MAX]

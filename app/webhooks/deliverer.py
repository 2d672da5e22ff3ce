"""Delivers all webhooks of the deployment, in one persister at a time. It has a loop, connections and threads of its
own: the ledger never waits for it, and does not know of it."""

import asyncio
from time import monotonic

import asyncpg
import msgspec
import structlog

from ..access.secret_box import SecretBox, read_secret_box
from ..drivers.redis import REDIS_ERRORS, RedisConnection
from ..drivers.some_nodes import PresentNodes
from ..metrics import WEBHOOKS_STOPPED
from ..model.webhook import WebhookSettings
from ..settings import Settings
from ..store.state_history import compare_state, read_state_notes
from ..task_end import complete, end_all
from .audit_stream import AUDIT_PARTITION, AuditStream
from .board_access import BoardAccess
from .delivery_session import LOST, DelivererSession
from .ledger_stream import LedgerPlace, LedgerStream
from .message_sender import Sender
from .rank_stream import RankStream
from .resend_stream import ResendStream
from .stream import Stream
from .webhook_rights import Judge
from .webhook_task import Gates, StoppedError, WebhookRecord, WebhookTask

log = structlog.get_logger()

#: Attempts under way of the webhooks of one key: slow receivers of one key never hold up those of others.
KEY_ATTEMPTS_MAX = 16
#: Attempts under way in all: each is a socket, and a thread while it looks up a name. Of many keys with slow receivers.
ATTEMPTS_MAX = 512
#: Seconds between two looks at the webhooks, their keys and the ends of the ledger.
REFRESH_S = 0.5
#: Seconds before it connects again, or asks again whether another persister has ended that delivers.
AGAIN_S = 1.0
#: Seconds before a webhook's task that broke off begins anew: a defect must not take the processor.
BROKEN_S = 30.0

_settings = msgspec.json.Decoder(WebhookSettings).decode


class Deliverer:
    """Runs a task for each webhook, as long as this process is the one that delivers. partitions: of the deployment."""

    def __init__(self, settings: Settings, partitions: int) -> None:
        self._deployment = settings
        self._takes_loopback = settings.webhook_loopback == "on"
        self._partitions = range(partitions)
        self._box: SecretBox = read_secret_box(settings)
        self._judge = Judge(settings.api_key)
        self._state_link = RedisConnection(settings.redis_url, [])
        self._boards = BoardAccess(settings)
        self._ends: dict[int, LedgerPlace] = {}
        self._resends: set[int] = set()
        self._tasks: dict[int, tuple[WebhookRecord, asyncio.Task[None]]] = {}
        self._broken_until_s: dict[int, float] = {}

    async def run(self) -> None:
        """Delivers for ever. Connects again when Postgres was lost. Does nothing without a key for the secrets."""
        if not self._box.is_usable:
            log.info("no webhook is delivered: LEADERBOARD_WEBHOOK_KEY is not set")
            return
        sender = Sender(attempts_at_once=ATTEMPTS_MAX, takes_loopback=self._takes_loopback)
        try:
            while True:
                await self._run(sender)
                await asyncio.sleep(AGAIN_S)
        finally:
            await complete(self._close())

    async def _close(self) -> None:
        await self._boards.close()
        await self._state_link.close()

    async def _run(self, sender: Sender) -> None:
        """One session, up to its end."""
        session: DelivererSession | None = None
        try:
            session = await DelivererSession.open(self._deployment.postgres_url)
            while not await session.becomes_deliverer():
                await asyncio.sleep(AGAIN_S)
            gates = Gates(key_attempts_max=KEY_ATTEMPTS_MAX, attempts_max=ATTEMPTS_MAX)
            while True:
                began = monotonic()
                await self._refresh(session, sender, gates)
                await asyncio.sleep(max(0.0, REFRESH_S - (monotonic() - began)))
        except LOST as error:
            log.debug("webhooks are not delivered", error=f"{type(error).__name__}: {error}")
        except Exception:  # Nobody waits for this task: what ends it would end it silently, and for good.
            log.exception("delivering webhooks broke off, and begins anew")
        finally:
            await complete(self._end_session(session))

    async def _end_session(self, session: DelivererSession | None) -> None:
        if session is not None:
            session.end()
        await end_all([task for _, task in self._tasks.values()])
        self._tasks.clear()

    async def _refresh(self, session: DelivererSession, sender: Sender, gates: Gates) -> None:
        """Begins and ends tasks as webhooks and keys have changed. O(webhooks + partitions)."""
        self._ends |= {row["partition"]: (row["epoch"], row["seq"]) for row in await session.fetch("get_offsets")}
        await self._reap(session)
        rows = await session.fetch("get_webhooks_to_deliver")
        self._resends.clear()
        self._resends.update(row["number"] for row in rows if row["has_resend"])
        # An older Postgres has keys that were revoked since, and shows users who were hidden.
        is_behind = bool(rows) and await self._is_behind(session)
        active: set[int] = set()
        stopped = 0
        for row in rows:
            webhook = _record(row)
            refusal = row["stop_reason"] if row["is_gone"] else self._judge.refusal(webhook, row["scopes"])
            if refusal != row["stop_reason"]:
                log.warning("a webhook stops" if refusal else "a webhook goes on", webhook=webhook.id, reason=refusal)
                await session.fetch("stop_webhook", webhook.number, refusal, False)
            stopped += refusal is not None
            if refusal is not None or is_behind:
                continue
            active.add(webhook.number)
            known = self._tasks.get(webhook.number)
            if known is not None and known[0].version != webhook.version:
                await self._end(webhook.number)
                known = None
            if known is None and self._broken_until_s.get(webhook.number, 0.0) <= monotonic():
                await self._begin(row, session, sender, gates)
        for number in self._tasks.keys() - active:
            await self._end(number)
        WEBHOOKS_STOPPED.set(stopped)

    async def _is_behind(self, session: DelivererSession) -> bool:
        """Whether Postgres is older than Redis. While Redis is away nothing is known, and nothing is held up."""
        try:
            present = PresentNodes(self._state_link)
            notes = await read_state_notes(present, ()) or await read_state_notes(present, self._partitions)
        except REDIS_ERRORS:
            return False
        return (await compare_state(session.fetch, list(notes.values()))).behind is not None

    async def _begin(self, row: asyncpg.Record, session: DelivererSession, sender: Sender, gates: Gates) -> None:
        webhook = _record(row)
        task = WebhookTask(
            webhook,
            await self._streams(row, webhook, session),
            session=session,
            sender=sender,
            gates=gates,
            judge=self._judge,
            box=self._box,
        )
        self._tasks[webhook.number] = webhook, asyncio.create_task(task.run())

    async def _streams(self, row: asyncpg.Record, webhook: WebhookRecord, session: DelivererSession) -> list[Stream]:
        """Of one webhook: what was asked for once more comes first."""
        number, settings = webhook.number, webhook.settings
        rows = await session.fetch("get_webhook_offsets", number)
        offsets = {one["partition"]: (one["epoch"], one["seq"]) for one in rows}
        audit_id = offsets.pop(AUDIT_PARTITION, (0, 0))[1]
        streams: list[Stream] = [
            LedgerStream(session, number, settings, self._ends, offsets),
            AuditStream(session, number, settings, audit_id),
            RankStream(session, number, settings, self._boards.services, row["top"]),
        ]
        return [ResendStream(session, number, self._resends, {stream.name: stream for stream in streams}), *streams]

    async def _end(self, number: int) -> None:
        _, task = self._tasks.pop(number)
        await end_all([task])

    async def _reap(self, session: DelivererSession) -> None:
        """Notes why tasks ended by themselves. What Postgres did to one is raised: the session is over."""
        for number, (webhook, task) in list(self._tasks.items()):
            if not task.done():
                continue
            del self._tasks[number]
            error = task.exception()
            if isinstance(error, StoppedError):
                log.warning("a webhook stops", webhook=webhook.id, reason=str(error))
                await session.fetch("stop_webhook", number, str(error), error.is_gone)
            elif isinstance(error, LOST):
                raise error
            elif error is not None:
                log.error("a webhook's task broke off, and begins anew", webhook=webhook.id, exc_info=error)
                self._broken_until_s[number] = monotonic() + BROKEN_S


def _record(row: asyncpg.Record) -> WebhookRecord:
    settings = _settings(row["settings"])
    return WebhookRecord(row["number"], row["version"], row["id"], row["api_key_id"], row["api_key_hash"], settings)

"""Delivers all webhooks of the deployment, in one persister at a time. It has a loop, connections and threads of its
own: the ledger never waits for it, and does not know of it."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

import asyncpg
import msgspec
import structlog

from ..access.secret_box import SecretBox, read_secret_box
from ..drivers.postgres import Fetch
from ..drivers.redis import REDIS_ERRORS, RedisConnection
from ..drivers.some_nodes import PresentNodes
from ..metrics import WEBHOOKS_STOPPED
from ..model.micros import now_micros
from ..model.webhook import WebhookSettings
from ..settings import Settings
from ..store.state_history import compare_state, read_state_notes
from ..task_end import complete, end_all
from .audit_stream import AUDIT_PARTITION, AuditEnd, AuditStream
from .board_access import BoardAccess
from .delivery_reads import DeliveryReads
from .delivery_session import LOST, DelivererSession
from .ledger_stream import LedgerStream
from .message_sender import Sender
from .newest_entries import LedgerPlace, NewestEntries
from .rank_stream import RankServices, RankStream
from .resend_stream import ResendStream
from .stream import Stream
from .watched_namespaces import WatchedNamespaces
from .webhook_rights import Judge
from .webhook_task import Gates, StoppedError, WebhookRecord, WebhookTask

log = structlog.get_logger()

#: Attempts under way of the webhooks of one key: slow receivers of one key never hold up those of others.
KEY_ATTEMPTS_MAX = 16
#: Attempts under way in all: each is a socket. Of many keys with slow receivers.
ATTEMPTS_MAX = 512
#: Seconds between two looks at the webhooks and their keys.
REFRESH_S = 0.5
#: Webhooks that begin at one look: a thousand do so in ten seconds, and the ledger goes on meanwhile.
BEGINS_A_LOOK_MAX = 50
#: The same while the process writes a ledger that is behind: each asks both stores something.
CROWDED_BEGINS_MAX = 5
#: Seconds between two notes of how far webhooks were looked for where nothing was of their concern.
NOTE_S = 10.0
#: Offsets of one such note: some 10 ms.
OFFSETS_A_NOTE_MAX = 2_000
#: Seconds before it connects again, or asks again whether another persister has ended that delivers.
AGAIN_S = 1.0
#: Seconds before a webhook begins anew of which Postgres did not answer a statement; each later pause is twice as long.
REST_S = 1.0
#: Seconds of the longest such pause. A webhook that has gone on for as long begins with a short one again.
REST_S_MAX = 60.0
#: Doublings after which such a pause is the longest in any case.
REST_DOUBLINGS_MAX = 6
#: Webhooks that a line of the log names.
NAMES_SHOWN_MAX = 5
#: Seconds before a webhook's task that broke off begins anew: a defect must not take the processor.
BROKEN_S = 30.0

_settings = msgspec.json.Decoder(WebhookSettings).decode


class DeliveryServices(NamedTuple):
    """What all webhooks share for as long as this process delivers."""

    session: DelivererSession
    reads: DeliveryReads
    newest: NewestEntries
    audit: AuditEnd
    ranks: RankServices
    sender: Sender
    gates: Gates


@dataclass
class WebhookRun:
    """A webhook that is served. ledger: its stream, once it has begun."""

    webhook: WebhookRecord
    began_s: float
    task: asyncio.Task[None] | None = None
    ledger: LedgerStream | None = None


class WebhookState(NamedTuple):
    """What Postgres has of how far a webhook is: its offsets by partition, and what waits for its next attempt."""

    offsets: dict[int, LedgerPlace]
    retries: list[asyncpg.Record]


class Deliverer:
    """Runs a task for each webhook, as long as this process is the one that delivers. partitions: of the deployment;
    is_crowded: whether the process has something to do that goes before."""

    def __init__(self, settings: Settings, partitions: int, is_crowded: Callable[[], bool]) -> None:
        self._deployment = settings
        self._is_crowded = is_crowded
        self._takes_loopback = settings.webhook_loopback == "on"
        self._partitions = range(partitions)
        self._box: SecretBox = read_secret_box(settings)
        self._judge = Judge(settings.api_key)
        self._state_link = RedisConnection(settings.redis_url, [])
        self._boards = BoardAccess(settings)
        self._records: dict[int, WebhookRecord] = {}
        self._resends: set[int] = set()
        self._runs: dict[int, WebhookRun] = {}
        self._failures: dict[int, int] = {}
        self._rests_until_s: dict[int, float] = {}

    async def run(self) -> None:
        """Delivers for ever. Connects again when Postgres was lost. Does nothing without a key for the secrets."""
        if not self._box.is_usable:
            log.info("no webhook is delivered: LEADERBOARD_WEBHOOK_KEY is not set")
            return
        sender = Sender(takes_loopback=self._takes_loopback)
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
        reads = DeliveryReads(self._deployment.postgres_url)
        follower: asyncio.Task[None] | None = None
        try:
            session = await DelivererSession.open(self._deployment.postgres_url)
            while not await session.becomes_deliverer():
                await asyncio.sleep(AGAIN_S)
            services = self._services(session, reads, sender)
            follower = asyncio.create_task(services.newest.run())
            noted_s = monotonic()
            while not follower.done():
                began_s = monotonic()
                await self._refresh(services)
                if began_s - noted_s >= NOTE_S:
                    noted_s = began_s
                    await self._note_offsets(session)
                await asyncio.sleep(max(0.0, REFRESH_S - (monotonic() - began_s)))
            follower.result()
        except LOST as error:
            log.debug("webhooks are not delivered", error=f"{type(error).__name__}: {error}")
        except Exception:  # Nobody waits for this task: what ends it would end it silently, and for good.
            log.exception("delivering webhooks broke off, and begins anew")
        finally:
            await complete(self._end_session(session, reads, follower))

    def _services(self, session: DelivererSession, reads: DeliveryReads, sender: Sender) -> DeliveryServices:
        newest = NewestEntries(reads.fetch)
        return DeliveryServices(
            session=session,
            reads=reads,
            newest=newest,
            audit=AuditEnd(reads.fetch),
            ranks=RankServices(self._boards.reader, WatchedNamespaces(reads.fetch), newest.ends, now_micros),
            sender=sender,
            gates=Gates(self._is_crowded, key_attempts_max=KEY_ATTEMPTS_MAX, attempts_max=ATTEMPTS_MAX),
        )

    async def _end_session(
        self, session: DelivererSession | None, reads: DeliveryReads, follower: asyncio.Task[None] | None
    ) -> None:
        if session is not None:
            session.end()
        tasks = [run.task for run in self._runs.values()]
        self._runs.clear()
        await end_all(task for task in (follower, *tasks) if task is not None)
        reads.end()

    async def _refresh(self, services: DeliveryServices) -> None:
        """Begins and ends tasks as webhooks and keys have changed. O(webhooks)."""
        session = services.session
        await self._reap(session)
        rows = await session.fetch("get_webhooks_to_deliver")
        await self._read_records(session, rows)
        self._resends.clear()
        self._resends.update(row["number"] for row in rows if row["has_resend"])
        # An older Postgres has keys that were revoked since, and shows users who were hidden.
        is_behind = bool(rows) and await self._is_behind(session)
        active: set[int] = set()
        new: list[WebhookRecord] = []
        stopped = 0
        for row in rows:
            webhook = self._records.get(row["number"])
            if webhook is None:
                continue  # It was deleted meanwhile.
            refusal = row["stop_reason"] if row["is_gone"] else self._judge.refusal(webhook, row["scopes"])
            if refusal != row["stop_reason"]:
                log.warning("a webhook stops" if refusal else "a webhook goes on", webhook=webhook.id, reason=refusal)
                await session.fetch("stop_webhook", webhook.number, refusal, False)
            stopped += refusal is not None
            if refusal is not None or is_behind:
                continue
            active.add(webhook.number)
            run = self._runs.get(webhook.number)
            if run is not None and run.webhook.version != webhook.version:
                await self._end(webhook.number)
                run = None
            if run is None and self._rests_until_s.get(webhook.number, 0.0) <= monotonic():
                new.append(webhook)
        limit = CROWDED_BEGINS_MAX if self._is_crowded() else BEGINS_A_LOOK_MAX
        await self._begin(new[:limit], services)
        for number in self._runs.keys() - active:
            await self._end(number)
        WEBHOOKS_STOPPED.set(stopped)

    async def _read_records(self, session: DelivererSession, rows: list[asyncpg.Record]) -> None:
        """Reads what clients wrote since the last look."""
        versions = {row["number"]: row["version"] for row in rows}
        for per_webhook in (self._records, self._failures, self._rests_until_s):
            for number in per_webhook.keys() - versions.keys():
                del per_webhook[number]
        new = [n for n, version in versions.items() if n not in self._records or self._records[n].version != version]
        for row in await session.fetch("get_webhook_records", new) if new else ():
            self._records[row["number"]] = _record(row)

    async def _is_behind(self, session: DelivererSession) -> bool:
        """Whether Postgres is older than Redis. While Redis is away nothing is known, and nothing is held up."""
        try:
            present = PresentNodes(self._state_link)
            notes = await read_state_notes(present, ()) or await read_state_notes(present, self._partitions)
        except REDIS_ERRORS:
            return False
        return (await compare_state(session.fetch, list(notes.values()))).behind is not None

    async def _begin(self, webhooks: list[WebhookRecord], services: DeliveryServices) -> None:
        """Begins the tasks of some webhooks. O(webhooks × partitions)."""
        if not webhooks:
            return
        numbers = [webhook.number for webhook in webhooks]
        states = {number: WebhookState({}, []) for number in numbers}
        for row in await services.session.fetch("get_webhook_offsets", numbers):
            states[row["webhook"]].offsets[row["partition"]] = row["epoch"], row["seq"]
        for row in await services.session.fetch("get_webhook_retries", numbers):
            states[row["webhook"]].retries.append(row)
        for webhook in webhooks:
            run = self._runs[webhook.number] = WebhookRun(webhook, monotonic())
            run.task = asyncio.create_task(self._serve(run, states[webhook.number], services))

    async def _serve(self, run: WebhookRun, state: WebhookState, services: DeliveryServices) -> None:
        """One webhook, for ever. StoppedError; asyncpg's errors."""
        webhook = run.webhook
        fetch = services.reads.of(webhook.key_id, is_doubtful=bool(self._failures.get(webhook.number)))
        task = WebhookTask(
            webhook,
            await self._streams(run, state, services, fetch),
            state.retries,
            session=services.session,
            fetch=fetch,
            newest=services.newest,
            sender=services.sender,
            gates=services.gates,
            judge=self._judge,
            box=self._box,
        )
        await task.run()

    async def _streams(
        self, run: WebhookRun, state: WebhookState, services: DeliveryServices, fetch: Fetch
    ) -> list[Stream]:
        """Of one webhook: what was asked for once more comes first."""
        number, settings = run.webhook.number, run.webhook.settings
        offsets = dict(state.offsets)
        _, audit_id = offsets.pop(AUDIT_PARTITION, (0, 0))
        tops = await fetch("get_webhook_top", number) if settings.board is not None else []
        run.ledger = LedgerStream(fetch, settings, services.newest, offsets)
        streams: list[Stream] = [
            run.ledger,
            AuditStream(fetch, settings, services.audit, audit_id),
            RankStream(fetch, number, settings, services.ranks, tops[0]["top"] if tops else None),
        ]
        return [ResendStream(fetch, number, self._resends, {stream.name: stream for stream in streams}), *streams]

    async def _end(self, number: int) -> None:
        run = self._runs.pop(number)
        if run.task is not None:
            await end_all([run.task])

    async def _reap(self, session: DelivererSession) -> None:
        """Notes why tasks ended by themselves. One that Postgres did not answer begins anew after a pause: what was not
        kept is sent again."""
        waiting, cause = list[str](), ""
        for number, run in list(self._runs.items()):
            if run.task is None or not run.task.done():
                continue
            del self._runs[number]
            error, webhook_id = run.task.exception(), run.webhook.id
            if isinstance(error, StoppedError):
                log.warning("a webhook stops", webhook=webhook_id, reason=str(error))
                await session.fetch("stop_webhook", number, str(error), error.is_gone)
            elif isinstance(error, LOST):
                waiting.append(webhook_id)
                cause = f"{type(error).__name__}: {error}"
                self._rest(number, monotonic() - run.began_s)
            elif error is not None:
                log.error("a webhook's task broke off, and begins anew", webhook=webhook_id, exc_info=error)
                self._rests_until_s[number] = monotonic() + BROKEN_S
        if waiting:
            names = ", ".join(waiting[:NAMES_SHOWN_MAX])
            log.warning("webhooks wait for Postgres", webhooks=len(waiting), first=names, error=cause)

    def _rest(self, number: int, ran_s: float) -> None:
        failures = 0 if ran_s >= REST_S_MAX else self._failures.get(number, 0)
        pause_s = min(REST_S_MAX, REST_S * 2**failures) * random.uniform(0.5, 1)
        self._failures[number] = min(failures + 1, REST_DOUBLINGS_MAX)
        self._rests_until_s[number] = monotonic() + pause_s

    async def _note_offsets(self, session: DelivererSession) -> None:
        """Keeps how far webhooks were looked for. O(webhooks × partitions with new entries)."""
        offsets = [
            (number, p, *place)
            for number, run in self._runs.items()
            if run.ledger is not None
            for p, place in run.ledger.take_unnoted().items()
        ]
        for first in range(0, len(offsets), OFFSETS_A_NOTE_MAX):
            await session.fetch("put_webhook_offsets", *zip(*offsets[first : first + OFFSETS_A_NOTE_MAX], strict=True))


def _record(row: asyncpg.Record) -> WebhookRecord:
    settings = _settings(row["settings"])
    return WebhookRecord(row["number"], row["version"], row["id"], row["api_key_id"], row["api_key_hash"], settings)

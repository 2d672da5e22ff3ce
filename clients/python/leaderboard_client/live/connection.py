"""A live connection: many boards over one WebSocket after the other."""

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from ..errors import BadAnswer, Closed, Problem, RateLimited, Unreachable
from ..tries import full_jitter
from .allowance import Allowance
from .comebacks import PASSED, PATIENT, RENEWAL, REVOKED, SOON, UNAUTHORIZED, Waits, after_close, after_error
from .losses import Loss, close_code, drain_of, problem_of_close, problem_of_frame
from .options import LiveOptions, Login
from .sockets import BEGIN_S_MAX, close_socket, open_socket
from .subscription import OnState, State, Subscription
from .views import Top, View

#: Subscriptions of a connection; the server takes no more.
SUBSCRIPTIONS_MAX = 50
#: Seconds after which a connection counts as one that works: the next try comes soon.
STABLE_S = 5.0
#: Tokens in a row that the server may refuse before the client gives up.
REFUSALS_MAX = 3
_BOARD_FRAMES = ("snapshot", "delta", "uptodate")
_decode, _encode = msgspec.json.Decoder(dict[str, Any]).decode, msgspec.json.Encoder().encode


class LiveConnection:
    """It opens with the first board that is watched, comes back when it is lost, and is closed by `aclose`. Everything
    happens in the loop in which it was made.

    state: `live` while the server answers; problem: why it does not.
    """

    def __init__(self, login: Login, options: LiveOptions | None = None) -> None:
        self.state: State = "waiting"
        self.problem: Problem | None = None
        self._login = login
        self._options = options or LiveOptions()
        self._subscriptions: dict[Subscription, None] = {}
        #: By their ids at the server.
        self._numbers: dict[int, Subscription] = {}
        #: Ids that the server has to be told to end: at most as many as it knows.
        self._farewells: list[int] = []
        self._last_number = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tries = 0
        self._refusals = 0
        self._ready_at = float("inf")
        self._heard_at = 0.0
        self._allowance = Allowance()

    def watch(
        self,
        namespace: str,
        window: str = "all",
        *,
        view: View | None = None,
        category: str | None = None,
        on_state: OnState | None = None,
    ) -> Subscription:
        """Watches a board. RateLimited beyond 50 at a time; Closed."""
        if self.state == "closed":
            raise Closed("closed", "this connection is closed")
        if len(self._subscriptions) >= SUBSCRIPTIONS_MAX:
            raise RateLimited("rate_limited", f"a connection has at most {SUBSCRIPTIONS_MAX} subscriptions")
        subscription = Subscription(
            namespace=namespace,
            window=window,
            category=category,
            view=Top() if view is None else view,
            leave=self._leave,
            on_state=on_state,
        )
        self._subscriptions[subscription] = None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        self._wake.set()
        return subscription

    async def aclose(self) -> None:
        """Ends it and all its subscriptions, for good."""
        self._end(None)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # Coming and going.

    async def _run(self) -> None:
        """One connection after the other, while something is watched."""
        while self.state != "closed":
            if not self._subscriptions:
                self._tell_all("waiting", None)
                self._wake.clear()
                await self._wake.wait()
                continue
            self._tell_all("connecting", None)
            loss = await self._serve_once()
            self._hang_up()
            if loss.waits is None:
                return self._end(loss.problem)
            if time.monotonic() - self._ready_at >= STABLE_S:
                self._tries = 0
            self._ready_at = float("inf")
            wait = max(loss.least_s, full_jitter(self._tries, loss.waits, self._options.chance))
            self._tries += 1
            self._tell_all("waiting", loss.problem)
            if loss.problem.code not in ("draining", "idle"):
                self._options.on_problem(loss.problem)
            await asyncio.sleep(wait)
        return None

    async def _serve_once(self) -> Loss:
        """One connection to its end."""
        token: str | None = None
        try:
            token = await self._token()
            socket = await open_socket(self._login.url, self._options.ssl)
            try:
                await self._begin(socket, token)
                return await self._follow(socket)
            finally:
                await close_socket(socket)
        except Loss as loss:
            return loss
        except ConnectionClosed as error:
            return self._loss_after(error, token)
        except Problem as problem:
            return Loss(problem, SOON)
        except (OSError, TimeoutError, InvalidMessage) as error:
            return Loss(Unreachable("unreachable", str(error) or type(error).__name__), SOON)
        except InvalidHandshake as error:
            return Loss(BadAnswer("bad_answer", str(error)), PATIENT)

    async def _token(self) -> str | None:
        token = self._login.token()
        return token if token is None or isinstance(token, str) else await token

    async def _begin(self, socket: ClientConnection, token: str | None) -> None:
        """Shows the token, and waits until it is accepted."""
        if token is not None:
            await socket.send(_encode({"type": "auth", "token": token}).decode())
            async with asyncio.timeout(BEGIN_S_MAX):
                while (frame := self._frame(await socket.recv()))["type"] != "ready":
                    if frame["type"] == "error":
                        raise Loss(problem_of_frame(frame), SOON)
                    if frame["type"] == "drain":
                        raise drain_of(frame, self._options.chance())
        self._refusals = 0
        self._ready_at = self._heard_at = time.monotonic()
        self._tell("live", None)

    async def _follow(self, socket: ClientConnection) -> Loss:
        """Reads and writes until one of both ends."""
        tasks = [asyncio.create_task(part(socket)) for part in (self._receive, self._settle, self._listen)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # Who leaves a silent server ends its reader, too: the reason is the one that says more.
            for task in sorted(done, key=lambda task: not isinstance(task.exception(), Loss)):
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return Loss(Closed("idle", "nothing is watched"), SOON)

    def _loss_after(self, error: ConnectionClosed, token: str | None) -> Loss:
        code = close_code(error)
        may_renew = False
        if code == UNAUTHORIZED and self._login.can_renew:
            self._refusals += 1
            may_renew = self._refusals < REFUSALS_MAX
        if may_renew or code == REVOKED:
            self._login.forget(token)
        return Loss(problem_of_close(error), RENEWAL if may_renew else after_close(code))

    # Sending.

    async def _settle(self, socket: ClientConnection) -> None:
        """Tells the server what it does not know yet, as fast as it takes it. Ends when nothing is watched."""
        while self._subscriptions:
            self._wake.clear()
            for number in list(self._farewells):
                await self._send(socket, {"type": "unsubscribe", "id": number})
                self._farewells.remove(number)
            for subscription in list(self._subscriptions):
                due_at = subscription.due_at
                if due_at is not None and due_at <= time.monotonic() and subscription in self._subscriptions:
                    self._last_number += 1
                    message = subscription.message(self._last_number)
                    subscription.begin(self._last_number)
                    self._numbers[self._last_number] = subscription
                    await self._send(socket, message)
            due = [one.due_at for one in self._subscriptions if one.due_at is not None]
            try:
                async with asyncio.timeout(max(0.0, min(due) - time.monotonic()) if due else None):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _send(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        await asyncio.sleep(self._allowance.take())
        await socket.send(_encode(message).decode())

    async def _listen(self, socket: ClientConnection) -> None:
        """Asks a server that is silent whether it is there, and leaves one that does not answer."""
        while True:
            left = self._heard_at + self._options.silence_s - time.monotonic()
            if left > 0:
                await asyncio.sleep(left)
                continue
            since = self._heard_at
            await socket.send('{"type":"ping"}')
            await asyncio.sleep(self._options.answer_s)
            if self._heard_at == since:
                socket.transport.abort()  # A close would wait for a goodbye.
                raise Loss(Unreachable("silence", "the server does not answer"), SOON)

    # Receiving.

    async def _receive(self, socket: ClientConnection) -> None:
        async for data in socket:
            frame = self._frame(data)
            kind = frame["type"]
            if kind == "drain":
                raise drain_of(frame, self._options.chance())
            if kind == "error":
                self._fail(problem_of_frame(frame), frame.get("id"))
            elif kind in _BOARD_FRAMES and frame.get("id") in self._numbers:
                self._change(self._numbers[frame["id"]], frame)
        # A close with 1000 or 1001 ends the loop without an exception.
        raise Loss(Problem("connection_lost", "the server closed the connection"), SOON)

    def _frame(self, data: str | bytes) -> dict[str, Any]:
        self._heard_at = time.monotonic()
        try:
            frame = _decode(data)
            frame["type"]
        except (msgspec.DecodeError, KeyError) as error:
            raise Loss(BadAnswer("bad_answer", f"a frame that cannot be read: {error}"), PATIENT) from error
        return frame

    def _change(self, subscription: Subscription, frame: dict[str, Any]) -> None:
        try:
            leads_on = subscription.change(frame)
        except (msgspec.ValidationError, KeyError) as error:
            raise Loss(BadAnswer("bad_answer", f"a frame that cannot be read: {error}"), PATIENT) from error
        if not leads_on:
            self._dismiss(subscription)
            self._retry(subscription, Problem("gap", "a frame does not lead on from the state that is here"), PASSED)

    def _fail(self, problem: Problem, number: int | None) -> None:
        """An error frame: of a subscription, or of a token that could not be checked."""
        if number is None:
            raise Loss(problem, SOON)
        subscription = self._numbers.pop(number, None)
        if subscription is None:
            return  # It was left before the server knew.
        comeback = after_error(problem.code)
        if comeback.is_absent:
            subscription.copy.forget()
        if comeback.waits is not None:
            self._retry(subscription, problem, comeback.waits)
        else:
            self._subscriptions.pop(subscription, None)
            subscription.tell("closed", problem)
            self._options.on_problem(problem)
            self._wake.set()

    def _retry(self, subscription: Subscription, problem: Problem, waits: Waits) -> None:
        """Subscribes again: at once after the first gap, else after a wait."""
        tries = subscription.next_try()
        wait = 0.0 if problem.code == "gap" and tries == 0 else full_jitter(tries, waits, self._options.chance)
        subscription.rest(time.monotonic() + wait)
        subscription.tell("waiting", problem)
        self._options.on_problem(problem)
        self._wake.set()

    # Ends.

    def _leave(self, subscription: Subscription) -> None:
        if self._subscriptions.pop(subscription, subscription) is subscription:
            return
        self._dismiss(subscription)
        subscription.tell("closed")
        self._wake.set()

    def _dismiss(self, subscription: Subscription) -> None:
        """The frames of its id are for nobody any more."""
        if self._numbers.pop(subscription.number, None) is not None:
            self._farewells.append(subscription.number)

    def _hang_up(self) -> None:
        """The server knows of no subscription from now on."""
        self._last_number = 0
        self._numbers.clear()
        self._farewells.clear()
        for subscription in self._subscriptions:
            subscription.rest()

    def _end(self, problem: Problem | None) -> None:
        if self.state == "closed":
            return
        self._hang_up()
        subscriptions = list(self._subscriptions)
        self._subscriptions.clear()
        self._tell("closed", problem)
        for subscription in subscriptions:
            subscription.tell("closed", problem)
        if problem is not None:
            self._options.on_problem(problem)

    def _tell(self, state: State, problem: Problem | None) -> None:
        if state == self.state and problem is self.problem:
            return
        self.state = state
        self.problem = problem
        if self._options.on_state is not None:
            self._options.on_state(state, problem)

    def _tell_all(self, state: State, problem: Problem | None) -> None:
        self._tell(state, problem)
        for subscription in list(self._subscriptions):
            subscription.tell(state, problem)

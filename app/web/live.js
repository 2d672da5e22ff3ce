// The live protocol without a page: follows one board and keeps following it across drops, restarts and sleep.

export const SUBPROTOCOL = 'leaderboard.v1';
const SILENCE_MS = 35_000; // The server speaks at least every 25 s.
const ANSWER_MS = 5_000;
const STABLE_MS = 5_000; // After a subscription that lasted this long, the next try comes soon.
const DRAIN_MS_MAX = 60_000;

// Codes of a close after which trying again does not help.
const FATAL = {
  4001: 'The key was not accepted',
  4003: 'The key does not open this board',
  4013: 'The server takes no more from here: a limit is reached',
  4400: 'This page and the server do not understand each other; reload the page',
};
// How to come back after the other codes: [reason, first wait, longest wait], in ms.
const LOST = ['Connection lost', 500, 15_000];
const RESTART = ['The server is restarting', 1_000, 15_000];
const RETURNS = {
  4101: ['The key has expired or was revoked', 5_000, 60_000],
  4102: ['The server waited too long for this page', 5_000, 60_000],
  4108: ['This page was too slow', 5_000, 60_000],
  4129: ['This page sent too much', 5_000, 60_000],
  4200: RESTART,
  1012: RESTART,
};
// Errors of a subscription that pass by themselves; all others stay.
const PASSING = {
  store_unavailable: 'The server cannot reach its store',
  recovering: 'The server is recovering',
  overloaded: 'The server is overloaded',
  rate_limited: 'The server asks for patience',
};
const LASTING = {
  unauthorized: 'There is no such public board: a private one needs a key',
  forbidden: FATAL[4003],
  namespace_not_found: 'There is no such board',
  board_not_found: 'There is no such window on this board',
};

export class Live {
  // board: {namespace, window, limit}; token: an API key, or '' for public boards.
  // onState(state, why): connecting, live, stale (connected, but not to be trusted), reconnecting, stopped.
  // onBoard(): something changed; read `info` (null: nothing is there) and `rows()` when it suits.
  constructor({ url, board, token = '', onState, onBoard, Socket = WebSocket, random = Math.random }) {
    Object.assign(this, { url, board, token, onState, onBoard, Socket, random });
    Object.assign(this, { socket: null, number: 0, current: 0, tries: 0, subscribedAt: -Infinity });
    this.forget();
    this.connect();
  }

  // Another board over the same connection. An arrow key that stays down must not become a flood of subscriptions.
  follow(board) {
    this.board = board;
    this.forget();
    this.tries = 0;
    if (!this.ready) return this.socket || this.waiting ? undefined : this.connect();
    this.unsubscribe();
    return this.later(() => this.subscribe(), this.subscribedAt + 150 - performance.now());
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    const socket = this.socket;
    Object.assign(this, { socket: null, ready: false, waiting: '', current: 0 });
    socket?.close();
  }

  // The page woke up or the network is back: find out now whether the connection is still one.
  nudge() {
    if (this.waiting === 'short') this.connect();
    else if (this.ready) this.ask();
  }

  rows() {
    return [...this.entries.values()].sort((a, b) => a.position - b.position).slice(0, this.board.limit);
  }

  forget() {
    this.entries = new Map();
    this.info = null;
  }

  connect() {
    if (!this.waiting) this.onState('connecting', ''); // Else the reason to reconnect stays until it has worked.
    this.close();
    const socket = this.socket = new this.Socket(this.url, SUBPROTOCOL);
    const mine = (handle) => (event) => { if (this.socket === socket) handle(event); };
    this.listen();
    socket.onopen = mine(() => {
      if (this.token) this.send({ type: 'auth', token: this.token });
      else this.start();
    });
    socket.onmessage = mine((event) => this.receive(event.data));
    socket.onclose = mine((event) => this.lost(event.code));
  }

  start() {
    this.ready = true;
    this.subscribe();
  }

  send(message) {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(message));
  }

  unsubscribe() {
    if (this.current) this.send({ type: 'unsubscribe', id: this.current });
    this.current = 0;
  }

  // Each subscription has an id of its own: frames of an earlier one may still be on their way.
  subscribe() {
    this.unsubscribe();
    this.current = ++this.number;
    this.subscribedAt = performance.now();
    const { namespace, window, limit } = this.board;
    this.send({ type: 'subscribe', id: this.current, namespace, window, view: { kind: 'top', limit }, ...this.resumption() });
  }

  // From where to resume; not once the window has ended, for `day` then means another one.
  resumption() {
    if (!this.info || Date.parse(this.info.ends) <= Date.now()) return {};
    return { epoch: this.info.epoch, version: this.info.version, resume_window: this.info.window };
  }

  receive(data) {
    this.listen();
    const frame = JSON.parse(data);
    if (frame.type === 'ready') return this.start();
    if (frame.type === 'drain') return void (this.retryMs = Math.min(frame.retry_ms, DRAIN_MS_MAX));
    if (frame.type === 'error') return this.fault(frame);
    if (!this.current || frame.id !== this.current) return undefined;
    if (frame.type === 'snapshot') {
      this.entries = new Map(frame.entries.map((entry) => [entry.user_id, entry]));
      this.info = { window: frame.window, starts: frame.starts, ends: frame.ends, epoch: frame.epoch };
    } else if (frame.type === 'delta') {
      if (frame.from !== this.info?.version) return this.gap();
      for (const user of frame.remove) this.entries.delete(user);
      for (const entry of frame.upsert) this.entries.set(entry.user_id, entry);
    } else if (frame.type !== 'uptodate' || !this.info) {
      return undefined;
    }
    Object.assign(this.info, { version: frame.version, total: frame.total ?? this.info.total, at: new Date() });
    this.onState('live', '');
    return this.onBoard();
  }

  // A change to a state that is not here: take the whole state again, and not in a tight loop.
  gap() {
    this.forget();
    this.unsubscribe();
    this.onState('stale', 'A change was missed');
    return this.later(() => this.subscribe(), this.subscribedAt + 1_000 - performance.now());
  }

  fault({ id, code }) {
    if (id && id !== this.current) return undefined;
    if (!Object.hasOwn(PASSING, code)) return this.stop(LASTING[code] ?? `The server refused: ${code}`);
    if (!this.ready) return this.drop([PASSING[code], ...LOST.slice(1)]);
    const wait = this.wait(1_000, 15_000);
    this.unsubscribe();
    this.onState('stale', PASSING[code]);
    return this.later(() => this.subscribe(), wait);
  }

  stop(why) {
    this.close();
    this.forget();
    this.onBoard();
    this.onState('stopped', why);
  }

  // After a long silence, ask; without an answer, the connection is gone.
  listen() {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => (this.ready ? this.ask() : this.drop(LOST)), SILENCE_MS);
  }

  ask() {
    this.send({ type: 'ping' });
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.drop(['The server does not answer', ...LOST.slice(1)]), ANSWER_MS);
  }

  lost(code) {
    if (code in FATAL) return this.stop(FATAL[code]);
    return this.drop(RETURNS[code] ?? LOST);
  }

  drop([why, first, longest]) {
    const wait = this.wait(first, longest);
    this.close();
    const retryMs = this.retryMs;
    this.retryMs = 0;
    this.waiting = first < 5_000 ? 'short' : 'long';
    this.onState('reconnecting', retryMs ? RESTART[0] : why);
    // Every client got the same moment to come back: spread over as long again.
    this.later(() => this.connect(), Math.max(wait, (retryMs || 0) * (1 + this.random())));
  }

  // Exponential, with jitter over the upper half; from the beginning after a subscription that lasted.
  wait(first, longest) {
    if (this.current && performance.now() - this.subscribedAt > STABLE_MS) this.tries = 0;
    return Math.min(longest, first * 2 ** this.tries++) * (0.5 + this.random() / 2);
  }

  later(act, ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(act, Math.max(0, ms));
  }
}

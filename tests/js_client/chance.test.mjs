// A server that does by chance what no server should: it loses changes, says them twice or to nobody, refuses, hangs up, goes
// silent. The client never shows what was never so, and ends with the newest state.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { FakeSocket, delta, entry, pass, settle, snapshot, stopClock, watch } from './fakes.mjs';

beforeEach(stopClock);
const USERS = ['ann', 'bob', 'cid', 'dan', 'eve'];
const SEEDS = 60;
const STEPS = 60;

/** Numbers from a seed (mulberry32). */
function chanceOf(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What was so, by version, and what one socket was told of it. */
class Server {
  version = 1;
  scores = new Map([['ann', 5]]);
  truth = new Map([[1, this.rows()]]);
  views = new Map();
  read = 0;
  socket = null;

  rows() {
    const order = [...this.scores].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    return order.map(([user, score], i) => entry(i + 1, user, score));
  }

  change(chance) {
    const user = USERS[Math.floor(chance() * USERS.length)];
    if (chance() < 0.2) this.scores.delete(user);
    else this.scores.set(user, Math.floor(chance() * 10));
    this.truth.set(++this.version, this.rows());
  }

  /** Takes the newest socket, and what it was sent. */
  listen() {
    const { last } = FakeSocket;
    if (last !== this.socket) {
      this.socket = last;
      this.views = new Map();
      this.read = 0;
    }
    if (last.readyState === 0) last.open();
    for (; this.read < last.sent.length; this.read++) this.take(last.sent[this.read]);
  }

  take({ type, id, version }) {
    if (type === 'unsubscribe') this.views.delete(id);
    if (type === 'ping') this.say({ type: 'pong' });
    if (type !== 'subscribe') return;
    assert.ok(!this.views.has(id), 'an id is used once');
    const isSame = version === this.version;
    this.say(isSame ? { type: 'uptodate', id, window: 'all', version } : snapshot(id, this.version, this.truth.get(this.version)));
    this.views.set(id, this.version);
  }

  say(frame) {
    if (this.socket?.readyState === 1) this.socket.say(frame);
  }

  /** Tells each view what has changed; loss: how often it does not arrive. */
  tell(chance, loss) {
    for (const [id, from] of this.views) {
      const before = new Map(this.truth.get(from).map((one) => [one.user_id, JSON.stringify(one)]));
      const now = this.truth.get(this.version);
      const upsert = now.filter((one) => before.get(one.user_id) !== JSON.stringify(one));
      const remove = [...before.keys()].filter((user) => !now.some((one) => one.user_id === user));
      this.views.set(id, this.version);
      const frame = delta(id, from, this.version, upsert, remove, { total: now.length });
      if (chance() >= loss) this.say(frame);
      if (chance() < loss) this.say(frame);
    }
  }

  misbehave(chance) {
    const [id] = this.views.keys();
    const end = (code) => this.socket?.readyState === 1 && this.socket.end(code);
    const code = ['store_unavailable', 'namespace_not_found', 'internal'][Math.floor(chance() * 3)];
    const acts = [
      () => end(1006),
      () => end([1012, 4101, 4102, 4108, 4129][Math.floor(chance() * 5)]),
      () => this.say({ type: 'drain', retry_ms: 500 }),
      () => this.views.delete(id) && this.say({ type: 'error', id, code, detail: '' }),
      () => this.say(delta(99, 1, 2, [entry(1, 'nobody', 99)])),
      () => pass(41_000, 1_000),
    ];
    return acts[Math.floor(chance() * acts.length)]();
  }
}

test(`what a board shows was so, whatever the server does (${SEEDS} seeds)`, async () => {
  let gaps = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const chance = chanceOf(seed);
    const server = new Server();
    const { live, seen, subscription } = watch({ options: { random: chance, token: async () => '' } });
    await settle();
    for (let step = 0; step < STEPS; step++) {
      server.listen();
      server.change(chance);
      server.tell(chance, 0.1);
      if (chance() < 0.15) await server.misbehave(chance);
      await pass(Math.floor(chance() * 1_500), 300);
    }
    for (let second = 0; second < 180; second++) {
      server.listen();
      await pass(1_000);
    }
    server.change(chance);
    server.tell(chance, 0); // Of a change that was lost, the client learns by the next one.
    await pass(5_000);
    server.listen();
    for (const board of seen.boards) assert.deepEqual(board.entries, server.truth.get(board.version), `seed ${seed}`);
    assert.deepEqual([live.state, subscription.state, subscription.board?.version], ['live', 'live', server.version], `seed ${seed}`);
    gaps += seen.errors.filter((code) => code === 'gap').length;
    live.close();
  }
  assert.ok(gaps > SEEDS, 'changes were lost, and noticed');
});

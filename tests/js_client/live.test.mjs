// The live connection on a fake socket: how frames change a board, and how it comes back.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { A, B, FakeSocket, Problem, delta, entry, pass, settle, snapshot, stopClock, users, watch, watching } from './fakes.mjs';

beforeEach(stopClock);
const lost = (code = 1006) => FakeSocket.last.end(code);
const SUBSCRIBE = { type: 'subscribe', id: 1, namespace: 'race', window: 'all', view: { kind: 'top', limit: 10 } };

test('a subscription asks for its board, and gets it', async () => {
  const { seen, subscription } = await watching();
  const socket = FakeSocket.last;
  assert.deepEqual([socket.url, socket.protocol], ['wss://scores.test/base/v1/live', 'leaderboard.v1']);
  assert.deepEqual(socket.sent, [SUBSCRIBE]);
  assert.deepEqual(users(seen.boards[0]), ['1 ann 9', '2 bob 5']);
  assert.deepEqual(seen.changes[0], { type: 'snapshot', upsert: [A, B], remove: [] });
  assert.equal(subscription.board, seen.boards[0]);
  assert.deepEqual(seen.states, ['connecting', 'live']);
  assert.deepEqual(seen.own, ['live']);
});

test('category, view and window are asked for as they are', async () => {
  const view = { kind: 'around', user: 'ann', radius: 2 };
  watch({ window: 'day', category: 'red', view });
  await settle();
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.sent[0], { ...SUBSCRIBE, window: 'day', category: 'red', view });
});

test('a change removes, puts, and sorts; earlier states stay as they were', async () => {
  const { seen } = await watching();
  FakeSocket.last.say(delta(1, 7, 9, [entry(2, 'cid', 7), entry(1, 'bob', 12)], ['ann']));
  assert.deepEqual(users(seen.boards[1]), ['1 bob 12', '2 cid 7']);
  assert.deepEqual([seen.boards[1].version, seen.boards[1].epoch, seen.boards[1].total], [9, 1, 2]);
  assert.deepEqual(users(seen.boards[0]), ['1 ann 9', '2 bob 5']);
  assert.throws(() => seen.boards[0].entries.push(1));
});

test('a change at the same version is one of names, and is applied', async () => {
  const { seen } = await watching();
  FakeSocket.last.say(delta(1, 7, 7, [{ ...A, display_name: 'Ann' }]));
  assert.equal(seen.boards[1].entries[0].display_name, 'Ann');
});

test('statistics come whole with each frame', async () => {
  const { seen } = watch({ view: { kind: 'stats' } });
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.say(snapshot(1, 7, [], { stats: { count: 2 } }), delta(1, 7, 8, [], [], { stats: { count: 3 } }));
  assert.deepEqual(seen.boards.map((board) => board.stats), [{ count: 2 }, { count: 3 }]);
});

for (const [what, frame] of [
  ['from another version', delta(1, 8, 9, [A])],
  ['of another window', delta(1, 7, 9, [A], [], { window: '2025' })],
  ['that leaves two at one position', delta(1, 7, 9, [entry(1, 'cid', 9)])],
  ['of more rows than a view has', delta(1, 7, 9, Array.from({ length: 101 }, (_, i) => entry(i + 3, `u${i}`, 1)))],
  ['that calls another version up to date', { type: 'uptodate', id: 1, window: 'all', version: 8 }],
]) {
  test(`a frame ${what} is not applied: the board is asked for anew`, async () => {
    const { seen, subscription } = await watching();
    const socket = FakeSocket.last;
    socket.say(frame);
    assert.equal(subscription.board, null);
    assert.deepEqual(socket.sent.slice(1), [{ type: 'unsubscribe', id: 1 }, { ...SUBSCRIBE, id: 2 }]);
    socket.say(delta(1, 9, 10, [A]));
    assert.equal(seen.boards.length, 1, 'frames of the earlier id are for nobody');
    socket.say(snapshot(2, 11, [B]));
    assert.deepEqual(users(seen.boards[1]), ['2 bob 5']);
    assert.deepEqual(seen.errors, ['gap']);
    assert.deepEqual(seen.own, ['live', 'waiting gap', 'live']);
  });
}

test('gaps in a row are not answered in a tight loop', async () => {
  await watching();
  const socket = FakeSocket.last;
  socket.say(delta(1, 8, 9, [A]));
  socket.say(snapshot(2, 9, [A]), delta(2, 1, 2, [A]));
  assert.equal(socket.of('subscribe').length, 2);
  await pass(1_001);
  assert.equal(socket.of('subscribe').length, 3);
});

test('a lost connection comes back with what is here, and keeps it', async () => {
  const { seen, subscription } = await watching();
  lost();
  assert.deepEqual([subscription.state, subscription.problem.code, subscription.board.version], ['waiting', 'connection_lost', 7]);
  await pass(250);
  FakeSocket.last.open();
  assert.equal(FakeSocket.all.length, 2);
  assert.deepEqual(FakeSocket.last.sent, [{ ...SUBSCRIBE, epoch: 1, version: 7, resume_window: 'all' }]);
  FakeSocket.last.say({ type: 'uptodate', id: 1, window: 'all', version: 7 });
  assert.equal(subscription.state, 'live');
  FakeSocket.last.say(delta(1, 7, 8, [entry(1, 'ann', 10)]));
  assert.deepEqual(users(subscription.board), ['1 ann 10', '2 bob 5']);
  assert.equal(seen.boards.length, 2);
  assert.deepEqual(seen.states, ['connecting', 'live', 'waiting connection_lost', 'connecting', 'live']);
  assert.deepEqual(seen.errors, ['connection_lost']);
});

test('a copy with names is asked for anew: a version does not tell them', async () => {
  const { subscription } = await watching();
  FakeSocket.last.say(delta(1, 7, 7, [{ ...A, display_name: 'Ann' }]));
  lost();
  await pass(250);
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.sent, [SUBSCRIBE]);
  assert.equal(subscription.board.version, 7);
});

test('waits double up to a bound, each anywhere below it', async () => {
  let chance = 0.5;
  watch({ options: { random: () => chance } });
  await settle();
  const waits = [];
  for (let i = 0; i < 9; i++) {
    const count = FakeSocket.all.length;
    lost();
    let waited = 0;
    while (FakeSocket.all.length === count) waited += (await pass(50), 50);
    waits.push(waited);
  }
  assert.deepEqual(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  chance = 0;
  lost();
  await pass(1);
  assert.equal(FakeSocket.all.length, 11, 'a wait may be none at all');
});

test('after a connection that lasted, the next try comes soon again', async () => {
  watch();
  for (let i = 0; i < 6; i++) {
    await settle();
    lost();
    await pass(15_000);
  }
  FakeSocket.last.open();
  await pass(5_000);
  lost();
  const count = FakeSocket.all.length;
  await pass(250);
  assert.equal(FakeSocket.all.length, count + 1);
});

test('a connection that does not open in time is given up', async () => {
  const { seen } = watch();
  await pass(10_000);
  assert.equal(FakeSocket.all[0].closedWith, 1000);
  assert.deepEqual(seen.errors, ['unreachable']);
});

test('a silent server is asked; without an answer the connection is lost', async () => {
  const { seen } = await watching();
  const socket = FakeSocket.last;
  await pass(20_000);
  socket.say({ type: 'ping' });
  await pass(34_999);
  assert.deepEqual(socket.of('ping'), []);
  await pass(1);
  assert.deepEqual(socket.of('ping'), [{ type: 'ping' }]);
  socket.say({ type: 'pong' });
  await pass(35_000);
  assert.equal(socket.of('ping').length, 2);
  await pass(5_001);
  assert.equal(socket.closedWith, 1000);
  assert.deepEqual(seen.errors, ['silence']);
  await pass(250);
  assert.equal(FakeSocket.all.length, 2);
});

test('a server that shuts down says when to come back; all clients spread over as long again', async () => {
  const { seen } = await watching();
  FakeSocket.last.say({ type: 'drain', retry_ms: 1_000 });
  FakeSocket.last.end(4200);
  assert.equal(FakeSocket.last.closedWith, 1000);
  await pass(1_499);
  assert.equal(FakeSocket.all.length, 1);
  await pass(1);
  assert.equal(FakeSocket.all.length, 2);
  assert.deepEqual(seen.errors, []);
  assert.deepEqual(seen.states.slice(2), ['waiting draining', 'connecting']);
});

for (const retryMs of [0, -1e9, 1e-9, 'soon', null, Infinity]) {
  test(`a server that sends its clients away for ${retryMs} ms is not flooded`, async () => {
    watch();
    await settle();
    for (let i = 0; i < 50; i++) {
      FakeSocket.last.open();
      FakeSocket.last.say({ type: 'drain', retry_ms: retryMs });
      FakeSocket.last.end(4200);
      await pass(1_000, 50);
    }
    assert.ok(FakeSocket.all.length <= 12, `${FakeSocket.all.length} connections in 50 s`);
    await pass(120_000, 50);
    assert.equal(FakeSocket.last.readyState, 0, 'it comes back all the same');
  });
}

test('a token is the first message, and a provider is asked anew once it is over', async () => {
  let count = 0;
  const { seen } = watch({ options: { token: async () => `token-${++count}` } });
  await settle();
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.sent, [{ type: 'auth', token: 'token-1' }]);
  FakeSocket.last.say({ type: 'ready' }, snapshot(1, 7, [A]));
  assert.deepEqual(FakeSocket.last.sent[1], SUBSCRIBE);
  lost();
  await pass(250);
  FakeSocket.last.open();
  assert.equal(FakeSocket.last.sent[0].token, 'token-1', 'a token is used as long as it is accepted');
  FakeSocket.last.say({ type: 'ready' });
  FakeSocket.last.end(4101);
  await pass(1_000);
  FakeSocket.last.open();
  assert.equal(FakeSocket.last.sent[0].token, 'token-2');
  FakeSocket.last.say({ type: 'ready' });
  assert.equal(FakeSocket.last.sent[1].version, 7);
  assert.deepEqual(seen.errors, ['connection_lost', 'close_4101']);
});

test('a token that has lived its life is not shown: the provider is asked before the connection comes back', async () => {
  let count = 0;
  // The server's clock is not the page's: only how long the token lives is taken from it.
  const token = async () => `x.${btoa(JSON.stringify({ iat: 5_000_000, exp: 5_000_010, n: ++count }))}.x`;
  const shown = () => JSON.parse(atob(FakeSocket.last.sent[0].token.split('.')[1])).n;
  const { seen } = watch({ options: { token } });
  for (const [after, expected] of [[0, 1], [7_000, 1], [1_000, 2], [7_000, 2]]) {
    await pass(after);
    if (FakeSocket.last?.readyState === 1) lost();
    await pass(1_000);
    FakeSocket.last.open();
    assert.equal(shown(), expected, `after ${after} ms more`);
    FakeSocket.last.say({ type: 'ready' }, snapshot(1, 7, [A, B]));
  }
  assert.ok(seen.errors.every((code) => code === 'connection_lost'), String(seen.errors));
});

test('new tokens that are refused again and again are the end', async () => {
  let count = 0;
  const { live } = watch({ options: { token: () => `token-${++count}` } });
  for (let i = 0; i < 3; i++) {
    await settle();
    FakeSocket.last.open();
    lost(4001);
    await pass(4_000);
  }
  assert.deepEqual([live.state, live.problem.code, count], ['closed', 'close_4001', 3]);
});

test('a provider that fails is asked again later', async () => {
  let count = 0;
  const token = async () => {
    if (++count < 3) throw new Error('the login server is away');
    return 't';
  };
  const { seen } = watch({ options: { token } });
  await settle();
  assert.deepEqual(seen.errors, ['token_unavailable']);
  await pass(250);
  await pass(500);
  FakeSocket.last.open();
  assert.equal(FakeSocket.last.sent[0].token, 't');
});

test('a token that could not be checked, as a store is away, is sent again', async () => {
  const { seen } = watch({ options: { key: 'k' } });
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.say({ type: 'error', id: null, code: 'store_unavailable', detail: '' });
  await pass(250);
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.sent, [{ type: 'auth', token: 'k' }]);
  assert.deepEqual(seen.errors, ['store_unavailable']);
});

for (const code of [4001, 4003, 4013, 4400]) {
  test(`after ${code} nothing is tried again`, async () => {
    const { live, subscription, seen } = await watching({ options: { key: 'k' } });
    lost(code);
    await pass(600_000, 60_000);
    assert.equal(FakeSocket.all.length, 1);
    assert.deepEqual([live.state, subscription.state, live.problem.code], ['closed', 'closed', `close_${code}`]);
    assert.deepEqual(seen.errors, [`close_${code}`]);
    assert.throws(() => live.subscribe({ namespace: 'race' }, () => {}), Problem);
  });
}

for (const code of [4102, 4108, 4129]) {
  test(`after ${code} the client is patient`, async () => {
    await watching();
    lost(code);
    await pass(2_499);
    assert.equal(FakeSocket.all.length, 1);
    await pass(1);
    assert.equal(FakeSocket.all.length, 2);
  });
}

test('a board that is gone is not shown, and comes back when it is made anew', async () => {
  const { seen, subscription, live } = await watching();
  FakeSocket.last.say({ type: 'error', id: 1, code: 'namespace_not_found', detail: 'gone', field: '$.namespace' });
  assert.deepEqual([subscription.board, subscription.state, live.state], [null, 'waiting', 'live']);
  await pass(1_001);
  FakeSocket.last.say({ type: 'error', id: 2, code: 'namespace_not_found', detail: 'gone' });
  await pass(2_001);
  assert.deepEqual(FakeSocket.last.sent.at(-1), { ...SUBSCRIBE, id: 3 });
  FakeSocket.last.say(snapshot(3, 3, [B]));
  assert.deepEqual(users(subscription.board), ['2 bob 5']);
  assert.deepEqual(seen.own, ['live', 'waiting namespace_not_found', 'live']);
});

test('while a store is away the board stays, and is resumed', async () => {
  const { subscription } = await watching();
  FakeSocket.last.say({ type: 'error', id: 1, code: 'store_unavailable', detail: '' });
  assert.deepEqual([subscription.board.version, subscription.state], [7, 'waiting']);
  await pass(501);
  assert.equal(FakeSocket.last.sent.at(-1).version, 7);
});

test('a wrong question is the end of its subscription alone', async () => {
  const { seen, subscription, live } = await watching();
  const other = live.subscribe({ namespace: 'race', view: { kind: 'top', limit: 1_000 } }, () => {});
  FakeSocket.last.say({ type: 'error', id: 2, code: 'invalid', detail: 'too many', field: '$.view.limit' });
  assert.deepEqual([other.state, other.problem.field, subscription.state, live.state], ['closed', '$.view.limit', 'live', 'live']);
  assert.deepEqual(seen.errors, ['invalid']);
  lost();
  await pass(250);
  FakeSocket.last.open();
  assert.equal(FakeSocket.last.of('subscribe').length, 1);
});

test('who unsubscribes gets nothing more', async () => {
  const { live, subscription, seen } = await watching();
  subscription.unsubscribe();
  FakeSocket.last.say(delta(1, 7, 8, [A]));
  assert.equal(seen.boards.length, 1);
  assert.deepEqual(FakeSocket.last.sent.at(-1), { type: 'unsubscribe', id: 1 });
  assert.equal(subscription.state, 'closed');
  lost();
  await pass(60_000);
  assert.equal(FakeSocket.all.length, 1, 'nothing is watched, so nobody comes back');
  live.subscribe({ namespace: 'other' }, () => {});
  await settle();
  assert.equal(FakeSocket.all.length, 2);
});

test('a closed connection is closed for good, and has no timers', async () => {
  const { live, subscription, seen } = await watching();
  live.close();
  assert.equal(FakeSocket.last.closedWith, 1000);
  FakeSocket.last.end(1000);
  await pass(600_000, 60_000);
  assert.equal(FakeSocket.all.length, 1);
  assert.deepEqual([live.state, subscription.state, seen.errors.length], ['closed', 'closed', 0]);
});

test('a connection that is closed while it waits does not come back', async () => {
  const { live } = await watching();
  lost();
  live.close();
  await pass(60_000);
  assert.equal(FakeSocket.all.length, 1);
});

test('subscriptions have a bound', async () => {
  const { live } = await watching();
  for (let i = 1; i < 50; i++) live.subscribe({ namespace: `n${i}` }, () => {});
  assert.throws(() => live.subscribe({ namespace: 'one-more' }, () => {}), { code: 'rate_limited' });
  assert.equal(FakeSocket.last.of('subscribe').length, 50);
});

test('messages are as many as the server takes, and none is lost', async () => {
  const { live } = await watching();
  const socket = FakeSocket.last;
  for (let i = 0; i < 100; i++) live.subscribe({ namespace: `n${i}` }, () => {}).unsubscribe();
  const last = live.subscribe({ namespace: 'last' }, () => {});
  assert.equal(socket.sent.length, 80);
  await pass(1_000, 10);
  assert.ok(socket.sent.length <= 121, `${socket.sent.length}`);
  await pass(5_000, 10);
  assert.equal(socket.of('unsubscribe').length, socket.of('subscribe').length - 2);
  assert.equal(socket.sent.filter((message) => message.namespace === 'last').length, 1);
  assert.equal(last.state, 'connecting');
});

test('a function that throws is told, and stops nothing', async () => {
  const seen = [];
  const { live } = watch({ connect: { onError: (problem) => seen.push([problem.code, problem.cause.message]) } });
  await settle();
  FakeSocket.last.open();
  const versions = [];
  live.subscribe({ namespace: 'other' }, (board) => {
    versions.push(board.version);
    throw new Error('mine');
  });
  FakeSocket.last.say(snapshot(2, 7, [A]), delta(2, 7, 8, [A]));
  assert.deepEqual(versions, [7, 8]);
  assert.deepEqual(seen, [['callback', 'mine'], ['callback', 'mine']]);
});

test('a frame that cannot be read ends the connection, patiently', async () => {
  const { seen } = await watching();
  FakeSocket.last.onmessage({ data: '{"type":' });
  assert.deepEqual(seen.errors, ['bad_answer']);
  await pass(2_499);
  assert.equal(FakeSocket.all.length, 1);
  await pass(1);
  assert.equal(FakeSocket.all.length, 2);
});

test('what a later server says is no fault', async () => {
  const { seen } = await watching();
  FakeSocket.last.say({ type: 'news', id: 1 }, { type: 'pong' });
  assert.deepEqual([seen.errors, FakeSocket.last.closedWith], [[], undefined]);
});

test('a class that cannot open a socket is told, for good', async () => {
  class Broken {
    constructor() {
      throw new SyntaxError('no such address');
    }
  }
  const { live, seen } = watch({ options: { WebSocket: Broken } });
  await settle();
  assert.deepEqual([live.state, seen.errors], ['closed', ['unreachable']]);
});

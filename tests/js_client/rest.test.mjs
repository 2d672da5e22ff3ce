// REST calls on a fake fetch: what is tried again, and what is not.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Leaderboard, Problem, fakeFetch, pass, problem, settle, stopClock } from './fakes.mjs';

beforeEach(stopClock);
const GRANT = { user_id: 'ann', amount: 5 };

function client(fetch, options = {}) {
  return new Leaderboard({ url: 'https://scores.test/', key: 'k', random: () => 0.5, fetch, ...options });
}

/** The end of a promise, while time goes by. */
async function ended(promise, ms = 20_000, step = 50) {
  const end = { promise: promise.then((value) => (end.value = value), (error) => (end.error = error)) };
  for (let left = ms; left > 0 && !('value' in end || 'error' in end); left -= step) await pass(step);
  return end;
}

test('a grant gets an id, and keeps it when it is sent again', async () => {
  const { fetch, calls } = fakeFetch(problem(503, 'overloaded', 1), new TypeError('reset'), problem(429, 'rate_limited'), problem(502, 'x'), { status: 201, body: { status: 'applied' } });
  const { value } = await ended(client(fetch).grant('race', GRANT));
  assert.deepEqual(value, { status: 'applied' });
  assert.equal(calls.length, 5);
  assert.match(calls[0].body.grant_id, /^[0-9a-f]{32}$/);
  for (const call of calls) {
    assert.deepEqual(call.body, { ...GRANT, grant_id: calls[0].body.grant_id });
    assert.deepEqual([call.url, call.method], ['https://scores.test/v1/namespaces/race/grants', 'POST']);
    assert.equal(call.headers.Authorization, 'Bearer k');
  }
});

test('ids differ, and an id of yours is kept', async () => {
  const { fetch, calls } = fakeFetch({ status: 201 });
  const board = client(fetch);
  await ended(board.grant('race', GRANT));
  await ended(board.grant('race', GRANT));
  await ended(board.grant('race', { ...GRANT, grant_id: 'mine' }));
  assert.notEqual(calls[0].body.grant_id, calls[1].body.grant_id);
  assert.equal(calls[2].body.grant_id, 'mine');
});

test('what does not pass is told at once, as the server said it', async () => {
  const { fetch, calls } = fakeFetch(problem(422, 'amount_scale'));
  const { error } = await ended(client(fetch).grant('race', GRANT));
  assert.ok(error instanceof Problem && error instanceof Error);
  assert.deepEqual([error.code, error.detail, error.status, error.field, error.title], ['amount_scale', 'why', 422, '$.amount', 'T']);
  assert.deepEqual(error.body, calls[0].body);
  assert.equal(calls.length, 1);
});

test('a wait is what the server asks for, and some more', async () => {
  const { fetch, calls } = fakeFetch(problem(503, 'overloaded', 2), { body: 1 });
  const answer = client(fetch).board('race');
  await pass(2_099, 500);
  assert.equal(calls.length, 1);
  await pass(1);
  assert.deepEqual([await answer, calls.length], [1, 2]);
});

test('the deadline ends it with the last problem, at once where it would be too late', async () => {
  const { fetch, calls } = fakeFetch(problem(503, 'recovering', 60));
  const { error } = await ended(client(fetch).board('race'), 100);
  assert.deepEqual([error.code, error.retryAfterMs, calls.length], ['recovering', 60_000, 1]);
});

test('a server that does not answer is given up in time, and asked again before', async () => {
  const { fetch, calls } = fakeFetch('hang');
  const begun = Date.now();
  const { error } = await ended(client(fetch).board('race', 'all', {}, { deadlineMs: 8_000 }));
  assert.equal(error.code, 'unreachable');
  assert.equal(calls.length, 2);
  assert.ok(Date.now() - begun <= 8_100, `${Date.now() - begun}`);
});

test('a POST that may have counted is not sent twice unless that is said to be safe', async () => {
  const first = fakeFetch(new TypeError('reset'), { body: 1 });
  const { error } = await ended(client(first.fetch).request('POST', ['v1', 'tokens'], { body: {} }));
  assert.deepEqual([error.code, first.calls.length], ['unreachable', 1]);
  const second = fakeFetch(new TypeError('reset'), { body: 1 });
  const { value } = await ended(client(second.fetch).request('POST', ['v1', 'stats'], { body: {}, retry: true }));
  assert.deepEqual([value, second.calls.length], [1, 2]);
});

test('what was refused for its rate did nothing, so it is sent again, unless you say no', async () => {
  const { fetch, calls } = fakeFetch(problem(429, 'rate_limited', 1), { body: 1 });
  const headers = { 'Idempotency-Key': 'k1' };
  const { value } = await ended(client(fetch).request('PATCH', ['v1', 'x'], { body: {}, headers }));
  assert.deepEqual([value, calls.length, calls[1].headers['Idempotency-Key']], [1, 2, 'k1']);
  const other = fakeFetch(problem(429, 'rate_limited', 1), { body: 1 });
  const { error } = await ended(client(other.fetch).request('PATCH', ['v1', 'x'], { body: {}, retry: false }));
  assert.deepEqual([error.code, other.calls.length], ['rate_limited', 1]);
});

test('a new token is asked for once where the last one is not accepted', async () => {
  let count = 0;
  const token = async () => `t${++count}`;
  const { fetch, calls } = fakeFetch(problem(401, 'unauthorized'), { body: 1 }, { body: 2 }, problem(401, 'unauthorized'));
  const board = client(fetch, { key: undefined, token });
  await ended(board.board('race'));
  await ended(board.board('race'));
  const { error } = await ended(board.board('race'));
  assert.deepEqual(calls.map((call) => call.headers.Authorization), ['t1', 't2', 't2', 't2', 't3'].map((one) => `Bearer ${one}`));
  assert.equal(error.code, 'unauthorized');
});

test('two who need a token ask for one', async () => {
  let count = 0;
  const { fetch } = fakeFetch({ body: 1 });
  const board = client(fetch, { key: undefined, token: async () => `t${++count}` });
  await Promise.all([board.board('a'), board.board('b')]);
  assert.equal(count, 1);
});

test('of a batch only what may pass is sent again, each with its id', async () => {
  const applied = (id) => ({ status: 'applied', grant_id: id });
  const refused = (id, retryable) => ({ status: 'rejected', grant_id: id, error: { code: 'x', retryable } });
  const { fetch, calls } = fakeFetch(
    { body: { applied: 1, duplicate: 0, rejected: 2, results: [refused('a', true), applied('b'), refused('c', false)] } },
    problem(503, 'overloaded'),
    { body: { applied: 1, duplicate: 0, rejected: 0, results: [applied('a')] } },
  );
  const grants = ['a', 'b', 'c'].map((grant_id) => ({ ...GRANT, grant_id }));
  const { value } = await ended(client(fetch).batch('race', grants));
  assert.deepEqual(calls.map((call) => call.body.map((one) => one.grant_id)), [['a', 'b', 'c'], ['a'], ['a']]);
  assert.deepEqual(value, { applied: 2, duplicate: 0, rejected: 1, results: [applied('a'), applied('b'), refused('c', false)] });
});

test('a batch ends in time, with what is known', async () => {
  const refused = { status: 'rejected', grant_id: 'a', error: { code: 'overloaded', retryable: true } };
  const { fetch } = fakeFetch({ body: { results: [refused] } });
  const { value } = await ended(client(fetch).batch('race', [GRANT], { deadlineMs: 3_000 }), 4_000);
  assert.deepEqual(value, { applied: 0, duplicate: 0, rejected: 1, results: [refused] });
});

test('names are encoded, and lists are repeated', async () => {
  const { fetch, calls } = fakeFetch({ body: 1 });
  const board = client(fetch);
  const at = new Date(0);
  await board.board('a/b', 'season:ü', { user: ['x y', 'z'], limit: 3, category: undefined, as_of: at });
  await board.around('race', 'day', 'ann&co', { radius: 2 });
  await board.user('race', 'a/../b');
  await board.explain('race', 'ann', { window: 'all' });
  assert.deepEqual(calls.map((call) => call.url.slice('https://scores.test/v1/namespaces/'.length)), [
    'a%2Fb/boards/season%3A%C3%BC?user=x+y&user=z&limit=3&as_of=1970-01-01T00%3A00%3A00.000Z',
    'race/boards/day?radius=2&around=ann%26co',
    'race/users/a%2F..%2Fb',
    'race/users/ann/explain?window=all',
  ]);
});

for (const name of ['..', '.', '', undefined]) {
  test(`a path cannot hold ${JSON.stringify(name)}: it would lead to another one`, async () => {
    const { fetch, calls } = fakeFetch({ body: 1 });
    await assert.rejects(client(fetch).user('race', name), { code: 'invalid' });
    assert.equal(calls.length, 0);
  });
}

test('a signal of yours ends a call and its waits', async () => {
  const reason = new Error('enough');
  for (const answer of ['hang', problem(503, 'overloaded', 5)]) {
    const { fetch } = fakeFetch(answer);
    const mine = new AbortController();
    const end = assert.rejects(client(fetch).board('race', 'all', {}, { signal: mine.signal }), reason);
    await pass(100);
    mine.abort(reason);
    await end;
  }
});

test('what is not the server is told so', async () => {
  const { fetch, calls } = fakeFetch({ text: '<html>' });
  const { error } = await ended(client(fetch).board('race'));
  assert.deepEqual([error.code, error.status, calls.length], ['bad_answer', 200, 1]);
});

test('an answer without a body is null', async () => {
  const { fetch } = fakeFetch({ status: 204 });
  assert.equal(await client(fetch).request('DELETE', ['v1', 'namespaces', 'race'], { query: { confirm: 'race' } }), null);
});

test('wrong options are refused', () => {
  assert.throws(() => new Leaderboard({ url: 'https://x', key: 'a', token: 'b' }), TypeError);
  assert.throws(() => new Leaderboard(), TypeError);
  assert.throws(() => new Leaderboard({ url: 'ftp://x' }), TypeError);
  assert.throws(() => new Leaderboard({ url: 'https://x', token: 5 }), TypeError);
});

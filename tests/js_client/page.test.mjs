// A page that is hidden and shown again.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { beforeEach, test } from 'node:test';
import { FakeSocket, pass, settle, stopClock, watching } from './fakes.mjs';

class FakePage extends EventTarget {
  visibilityState = 'visible';

  turn(state) {
    this.visibilityState = state;
    this.dispatchEvent(new Event('visibilitychange'));
  }
}

beforeEach(() => {
  stopClock();
  globalThis.document = new FakePage();
});
const page = () => globalThis.document;

test('a page that is hidden for long lets go, and comes back at once with what it has', async () => {
  const { seen, subscription } = await watching();
  page().turn('hidden');
  await pass(59_999);
  assert.equal(FakeSocket.last.closedWith, undefined);
  await pass(1);
  assert.equal(FakeSocket.last.closedWith, 1000);
  assert.deepEqual([subscription.state, subscription.problem.code, subscription.board.version], ['waiting', 'hidden', 7]);
  await pass(600_000, 60_000);
  assert.equal(FakeSocket.all.length, 1);
  page().turn('visible');
  await settle();
  FakeSocket.last.open();
  assert.equal(FakeSocket.all.length, 2);
  assert.equal(FakeSocket.last.sent[0].version, 7);
  assert.deepEqual(seen.errors, []);
});

test('a page that is hidden for a moment stays, and asks whether the server is there', async () => {
  await watching();
  page().turn('hidden');
  await pass(10_000);
  page().turn('visible');
  assert.deepEqual(FakeSocket.last.of('ping'), [{ type: 'ping' }]);
  await pass(5_001);
  assert.equal(FakeSocket.last.closedWith, 1000, 'nobody answered');
});

test('however short it was hidden for, a page that let go comes back at once', async () => {
  await watching({ connect: { hiddenMs: 100 } });
  page().turn('hidden');
  await pass(100);
  page().turn('visible');
  await settle();
  assert.equal(FakeSocket.all.length, 2);
});

test('hiddenMs: Infinity keeps it', async () => {
  await watching({ connect: { hiddenMs: Infinity, silenceMs: 10_000_000 } });
  page().turn('hidden');
  await pass(3_600_000);
  assert.equal(FakeSocket.last.closedWith, undefined);
});

test('a page that is shown while it waits tries at once, but not in a loop', async () => {
  await watching();
  for (let i = 0; i < 8; i++) {
    FakeSocket.last.end(1006);
    await pass(15_000);
  }
  FakeSocket.last.end(1006);
  const count = FakeSocket.all.length;
  for (let i = 0; i < 5; i++) {
    page().turn('hidden');
    page().turn('visible');
    await settle();
  }
  assert.equal(FakeSocket.all.length, count, 'the last try was less than a second ago');
  await pass(1_000);
  page().turn('visible');
  await settle();
  assert.equal(FakeSocket.all.length, count + 1);
});

test('a client that was asked for patience is patient, shown or not', async () => {
  await watching();
  FakeSocket.last.end(4129);
  await pass(2_000);
  page().turn('visible');
  await settle();
  assert.equal(FakeSocket.all.length, 1);
});

test('who subscribes while the page is hidden waits, too', async () => {
  const { live } = await watching();
  page().turn('hidden');
  await pass(60_000);
  const other = live.subscribe({ namespace: 'other' }, () => {});
  assert.deepEqual([other.state, other.problem.code, FakeSocket.all.length], ['waiting', 'hidden', 1]);
  page().turn('visible');
  await settle();
  FakeSocket.last.open();
  assert.equal(FakeSocket.last.of('subscribe').length, 2);
});

test('a closed connection does not listen to the page', async () => {
  const { live } = await watching();
  page().turn('hidden');
  live.close();
  assert.deepEqual(getEventListeners(page(), 'visibilitychange'), []);
  page().turn('visible');
  await pass(60_000);
  assert.equal(FakeSocket.all.length, 1);
});

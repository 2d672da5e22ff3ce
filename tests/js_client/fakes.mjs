// A clock, a WebSocket and a fetch that do what a test says.

import { mock } from 'node:test';

export const CLIENT = new URL('../../clients/js/', import.meta.url);
export const { Leaderboard, Problem } = await import(new URL('live.js', CLIENT).href);

/** Timers, Date and performance.now stand still until `pass`. */
export function stopClock() {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  Object.defineProperty(globalThis, 'performance', { value: { now: () => Date.now() }, configurable: true });
}

/** Lets promises settle. */
export async function settle() {
  for (let i = 0; i < 20; i++) await null;
}

/** Time goes by, in steps, so that what a timer begins has its turn. */
export async function pass(ms, step = ms) {
  await settle();
  for (let left = ms; left > 0; left -= step) {
    mock.timers.tick(Math.min(step, left));
    await settle();
  }
}

export class FakeSocket {
  static all = [];
  sent = [];
  readyState = 0;

  constructor(url, protocol) {
    Object.assign(this, { url, protocol });
    FakeSocket.all.push(this);
  }

  static get last() {
    return this.all.at(-1);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closedWith ??= code;
    this.readyState = 3;
  }

  open() {
    this.readyState = 1;
    this.onopen?.({});
  }

  say(...frames) {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
  }

  end(code, reason = '') {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  of(type) {
    return this.sent.filter((message) => message.type === type);
  }
}

export function entry(position, user_id, score, more = {}) {
  return { position, rank: position, user_id, score, display_name: null, avatar: null, ...more };
}

export function snapshot(id, version, entries, more = {}) {
  return { type: 'snapshot', id, window: 'all', starts: null, ends: null, epoch: 1, version, total: entries.length, entries, ...more };
}

export function delta(id, from, version, upsert, remove = [], more = {}) {
  return { type: 'delta', id, window: 'all', starts: null, ends: null, from, version, total: 2, upsert, remove, ...more };
}

export const A = entry(1, 'ann', 9);
export const B = entry(2, 'bob', 5);

/** A connection with one subscription, and all that it says. */
export function watch({ options = {}, connect = {}, ...more } = {}) {
  FakeSocket.all = [];
  const seen = { boards: [], changes: [], states: [], errors: [], own: [] };
  const board = new Leaderboard({ url: 'https://scores.test/base/', WebSocket: FakeSocket, random: () => 0.5, ...options });
  const live = board.connect({
    onState: (state, problem) => seen.states.push(problem ? `${state} ${problem.code}` : state),
    onError: (problem) => seen.errors.push(problem.code),
    ...connect,
  });
  const onChange = (state, change) => (seen.boards.push(state), seen.changes.push(change));
  const onState = (state, problem) => seen.own.push(problem ? `${state} ${problem.code}` : state);
  const subscription = live.subscribe({ namespace: 'race', onState, ...more }, onChange);
  return { live, subscription, seen };
}

/** The same, open, with ann and bob at version 7. */
export async function watching(more) {
  const all = watch(more);
  await settle();
  FakeSocket.last.open();
  FakeSocket.last.say(snapshot(1, 7, [A, B]));
  return all;
}

export const users = (board) => board.entries.map((one) => `${one.position} ${one.user_id} ${one.score}`);

/** A fetch that gives prepared answers in turn, and keeps what it was called with. */
export function fakeFetch(...answers) {
  const calls = [];
  const fetch = async (url, init) => {
    calls.push({ url, ...init, body: init.body && JSON.parse(init.body) });
    const answer = answers[Math.min(calls.length, answers.length) - 1];
    if (answer === 'hang') {
      return new Promise((_, reject) => init.signal.addEventListener('abort', () => reject(init.signal.reason)));
    }
    if (answer instanceof Error) throw answer;
    const { status = 200, body = {}, headers = {}, text = JSON.stringify(body) } = answer;
    return new Response(status === 204 ? null : text, { status, headers });
  };
  return { fetch, calls };
}

export function problem(status, code, retryAfter) {
  const headers = retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) };
  return { status, headers, body: { type: `urn:leaderboard:problem:${code}`, title: 'T', status, code, detail: 'why', field: '$.amount' } };
}

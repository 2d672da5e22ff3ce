// Every call that the console makes, with the curl that does the same.
import { Leaderboard } from '/clients/live.js';

const CALLS_MAX = 50;
const calls = [];
let key = '';
try { key = sessionStorage.getItem('console-key') ?? ''; } catch { /* Storage is forbidden here. */ }
let client = new Leaderboard({ url: location.origin, key });
let listener = () => {};

export const hasKey = () => key !== '';
export const onCall = (callback) => { listener = callback; };

/** Uses another key; '' forgets it, and what it did. */
export function useKey(text) {
  key = text.trim();
  calls.length = 0;
  try {
    if (key) sessionStorage.setItem('console-key', key);
    else sessionStorage.removeItem('console-key');
  } catch { /* The key is then kept until a reload. */ }
  client = new Leaderboard({ url: location.origin, key });
  listener(calls);
}

/** One call below /v1. The answer's body; a Problem. What writes is repeated only if it has an idempotency key. */
export function call(method, segments, { query, body, headers, isQuiet = false } = {}) {
  note(curl(method, segments, query, body, headers), isQuiet);
  const retry = method === 'GET' || headers?.['Idempotency-Key'] !== undefined;
  return client.request(method, ['v1', ...segments], { query, body, headers, retry });
}

/** The text of a page that needs no key, whatever its status. */
export async function page(path) {
  note(`curl -s ${quoted(location.origin + path)}`, true);
  return (await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(5_000) })).text();
}

/** A text that no other call has: with it a repeated call does its work once. */
export function newIdempotencyKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** isQuiet: it is asked for every few seconds, so it is listed once. */
function note(text, isQuiet) {
  if (isQuiet && calls.includes(text)) return;
  calls.unshift(text);
  calls.length = Math.min(calls.length, CALLS_MAX);
  listener(calls);
}

function curl(method, segments, query = {}, body = undefined, headers = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '')
    .flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  const search = new URLSearchParams(pairs).toString();
  const url = `${location.origin}/v1/${segments.map(encodeURIComponent).join('/')}${search && `?${search}`}`;
  const parts = ['curl -s', method === 'GET' ? '' : `-X ${method}`, '-H "Authorization: Bearer $KEY"', quoted(url)];
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body !== undefined) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`);
  return parts.filter(Boolean).join(' ');
}

function quoted(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

// REST calls: each within a deadline, repeated where that is safe.

import { fullJitter, pause } from './pauses.js';
import { Problem } from './problem.js';

/** @import { Call, Options, Query } from './live.d.ts' */
/** @import { Tokens } from './tokens.js' */

/** How long a call may take in all. */
const DEADLINE_MS = 15_000;
/** How long one try may take. The server answers a write within 5 s. */
const TRY_MS_MAX = 6_000;
/** Bounds of the first wait between two tries, and of the longest. @type {[number, number]} */
const WAITS = [200, 5_000];
/** Statuses that pass: the server's own, and those of a proxy before it. */
const PASSING = new Set([408, 429, 502, 503, 504]);

export class Requests {
  #url;
  #tokens;
  #fetch;
  #random;
  #deadlineMs;

  /**
   * @param {string} url where the server is, without a slash at the end
   * @param {Tokens} tokens
   * @param {Options} options
   */
  constructor(url, tokens, { fetch = globalThis.fetch, deadlineMs = DEADLINE_MS, random = Math.random }) {
    this.#url = url;
    this.#tokens = tokens;
    this.#fetch = /** @type {typeof globalThis.fetch} */ ((...call) => fetch(...call));
    this.#deadlineMs = deadlineMs;
    this.#random = random;
  }

  /**
   * One call, tried again while that is safe and there is time. A Problem, or the reason of the caller's signal.
   * @param {string} method
   * @param {string[]} segments of the path, not encoded
   * @param {Call} [call]
   * @returns {Promise<any>} the answer's body; null for none
   */
  async send(method, segments, { query, body, headers, deadlineMs = this.#deadlineMs, signal, retry } = {}) {
    const url = this.#url + pathOf(segments) + queryOf(query);
    const isSafe = retry ?? (method !== 'POST' && method !== 'PATCH');
    const end = performance.now() + deadlineMs;
    let hasNewToken = false;
    for (let tries = 0; ; tries++) {
      signal?.throwIfAborted();
      const { answer, problem, token } = await this.#try({ method, url, body, headers }, end - performance.now(), signal);
      if (!problem) return answer;
      problem.body = body;
      if (problem.status === 401 && this.#tokens.canRenew && !hasNewToken && token) {
        this.#tokens.forget(token);
        hasNewToken = true;
        continue;
      }
      const wait = (problem.retryAfterMs ?? 0) + fullJitter(tries, WAITS, this.#random);
      const passes = problem.status === 0 ? problem.code === 'unreachable' : PASSING.has(problem.status);
      const mayRepeat = isSafe || (problem.status === 429 && retry !== false); // What is refused for its rate did nothing.
      if (!mayRepeat || !passes || performance.now() + wait >= end) throw problem;
      await pause(wait, signal);
    }
  }

  /**
   * @param {{method: string, url: string, body: unknown, headers?: Record<string, string>}} call
   * @param {number} leftMs
   * @param {AbortSignal} [signal]
   * @returns {Promise<{answer?: unknown, problem?: Problem, token?: string}>}
   */
  async #try({ method, url, body, headers: own }, leftMs, signal) {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), Math.max(0, Math.min(leftMs, TRY_MS_MAX)));
    const stop = () => limit.abort();
    signal?.addEventListener('abort', stop, { once: true });
    /** @type {string | undefined} */
    let token;
    try {
      token = await this.#tokens.get();
      /** @type {Record<string, string>} */
      const headers = { Accept: 'application/json', ...own };
      if (token) headers.Authorization = `Bearer ${token}`;
      if (body !== undefined) headers['Content-Type'] = 'application/json';
      const init = { method, headers, credentials: /** @type {const} */ ('omit'), signal: limit.signal };
      const response = await this.#fetch(url, body === undefined ? init : { ...init, body: JSON.stringify(body) });
      return { ...readAnswer(response, await response.text()), token };
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof Problem) return { problem: error, token };
      const detail = limit.signal.aborted ? 'no answer in time' : error instanceof Error ? error.message : String(error);
      return { problem: new Problem('unreachable', detail, { cause: error }), token };
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    }
  }
}

/**
 * @param {Response} response
 * @param {string} text
 * @returns {{answer?: unknown, problem?: Problem}}
 */
function readAnswer(response, text) {
  const { status } = response;
  const retryAfterMs = retryAfter(response.headers.get('Retry-After'));
  /** @type {any} */
  let answer = null;
  try {
    if (text) answer = JSON.parse(text);
  } catch (cause) {
    return { problem: new Problem('bad_answer', `status ${status}, and no JSON`, { status, retryAfterMs, cause }) };
  }
  if (response.ok) return { answer };
  const { code = 'bad_answer', detail = `status ${status}`, title, field } = answer ?? {};
  return { problem: new Problem(String(code), String(detail), { status, title, field, retryAfterMs }) };
}

/**
 * @param {string | null} text seconds; a date is not what the server sends
 * @returns {number | null}
 */
function retryAfter(text) {
  return text !== null && /^\d{1,6}$/.test(text) ? Number(text) * 1_000 : null;
}

/**
 * A path of segments that hold any character. A browser takes `.` and `..` for steps, encoded or not: they would lead to
 * another path.
 * @param {string[]} segments
 */
function pathOf(segments) {
  const wrong = segments.filter((segment) => typeof segment !== 'string' || ['', '.', '..'].includes(segment));
  if (wrong.length) throw new Problem('invalid', `a path cannot hold ${JSON.stringify(wrong[0])}`);
  return segments.map((segment) => `/${encodeURIComponent(segment)}`).join('');
}

/**
 * @param {Query} [query] lists give a parameter for each member; undefined gives none
 */
function queryOf(query = {}) {
  const pairs = Object.entries(query).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  const params = new URLSearchParams();
  for (const [name, value] of pairs) {
    if (value !== undefined && value !== null) {
      params.append(String(name), value instanceof Date ? value.toISOString() : String(value));
    }
  }
  const text = params.toString();
  return text && `?${text}`;
}

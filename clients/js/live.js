// @leaderboard/live: a client of the leaderboard server, for Node and browsers, without dependencies. See README.md.

import { LiveConnection } from './connection.js';
import { Problem } from './problem.js';
import { Requests } from './requests.js';
import { Tokens } from './tokens.js';
import { fullJitter, pause } from './pauses.js';

export { Problem };

/** @import { BatchResult, Call, Client, ConnectOptions, Grant, Options, Query } from './live.d.ts' */

/** How long a batch goes on with those of its grants that were refused for a cause that passes. */
const BATCH_MS = 15_000;
/** Bounds of the first wait between two rounds of a batch, and of the longest. @type {[number, number]} */
const BATCH_WAITS = [500, 5_000];

/** @implements {Client} */
export class Leaderboard {
  #url;
  #tokens;
  #requests;
  #options;

  /** @param {Options} [options] */
  constructor(options = {}) {
    const { url = placeOf(import.meta.url), key, token } = options;
    if (key !== undefined && token !== undefined) throw new TypeError('key or token, not both');
    if (!url) throw new TypeError('url: where the server is');
    const base = new URL(url);
    if (!/^https?:$/.test(base.protocol)) throw new TypeError('url: http:// or https://');
    this.#url = (base.origin + base.pathname).replace(/\/+$/, '');
    this.#tokens = new Tokens(token ?? key ?? '');
    this.#requests = new Requests(this.#url, this.#tokens, options);
    this.#options = options;
  }

  /**
   * Any call of the REST API.
   * @param {string} method
   * @param {string[]} segments of the path, not encoded: `['v1', 'namespaces', name]`
   * @param {Call} [call]
   * @returns {Promise<any>}
   */
  async request(method, segments, call) {
    return this.#requests.send(method, segments, call);
  }

  /**
   * Gives points. A grant without a `grant_id` gets one, so that it counts once however often it is sent.
   * @param {string} namespace
   * @param {Grant} grant
   * @param {Call} [call]
   * @returns {Promise<any>}
   */
  async grant(namespace, grant, call) {
    return this.request('POST', ['v1', 'namespaces', namespace, 'grants'], { ...call, body: withId(grant), retry: true });
  }

  /**
   * Gives up to 1,000 grants. Those that were refused for a cause that passes are sent again while there is time.
   * @param {string} namespace
   * @param {Grant[]} grants
   * @param {Call} [call]
   * @returns {Promise<BatchResult>}
   */
  async batch(namespace, grants, call = {}) {
    const path = ['v1', 'namespaces', namespace, 'grants'];
    const body = grants.map(withId);
    const end = performance.now() + (call.deadlineMs ?? this.#options.deadlineMs ?? BATCH_MS);
    const results = (await this.request('POST', path, { ...call, body, retry: true })).results;
    for (let tries = 0; ; tries++) {
      const open = [...results.keys()].filter((i) => results[i].error?.retryable);
      const wait = fullJitter(tries, BATCH_WAITS, this.#options.random ?? Math.random);
      if (!open.length || performance.now() + wait >= end) break;
      await pause(wait, call.signal);
      const rest = { ...call, body: open.map((i) => body[i]), retry: true, deadlineMs: end - performance.now() };
      try {
        const again = await this.request('POST', path, rest);
        open.forEach((i, at) => (results[i] = again.results[at]));
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        break; // What the first answer said still holds: these grants are retryable.
      }
    }
    const count = (/** @type {string} */ status) => results.filter((/** @type {any} */ one) => one.status === status).length;
    return { applied: count('applied'), duplicate: count('duplicate'), rejected: count('rejected'), results };
  }

  /**
   * A page of a board.
   * @param {string} namespace
   * @param {string} [window]
   * @param {Query} [query]
   * @param {Call} [call]
   * @returns {Promise<any>}
   */
  async board(namespace, window = 'all', query, call) {
    return this.request('GET', ['v1', 'namespaces', namespace, 'boards', window], { ...call, query });
  }

  /**
   * The neighbours of a user.
   * @param {string} namespace
   * @param {string} window
   * @param {string} user
   * @param {Query} [query] such as `radius`
   * @param {Call} [call]
   * @returns {Promise<any>}
   */
  async around(namespace, window, user, query, call) {
    return this.board(namespace, window, { ...query, around: user }, call);
  }

  /**
   * What a user has: scores, ranks, categories.
   * @param {string} namespace
   * @param {string} user
   * @param {Call} [call]
   * @returns {Promise<any>}
   */
  async user(namespace, user, call) {
    return this.request('GET', ['v1', 'namespaces', namespace, 'users', user], call);
  }

  /**
   * The grants that add up to a user's score.
   * @param {string} namespace
   * @param {string} user
   * @param {Query} [query] such as `window`, `cursor`, `limit`
   * @param {Call} [call]
   * @returns {Promise<any>}
   */
  async explain(namespace, user, query, call) {
    return this.request('GET', ['v1', 'namespaces', namespace, 'users', user, 'explain'], { ...call, query });
  }

  /**
   * A live connection; it opens with its first subscription.
   * @param {ConnectOptions} [options]
   * @returns {LiveConnection}
   */
  connect(options = {}) {
    const { WebSocket, random } = this.#options;
    return new LiveConnection(`${this.#url.replace(/^http/, 'ws')}/v1/live`, this.#tokens, { WebSocket, random, ...options });
  }
}

/** @param {Grant} grant */
function withId(grant) {
  return { ...grant, grant_id: grant.grant_id ?? newId() };
}

/** 128 random bits. `crypto.randomUUID` is missing in pages without TLS. */
function newId() {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * The server that served this file; none where a package did.
 * @param {string} file
 */
function placeOf(file) {
  const end = file.indexOf('/clients/live.js');
  return file.startsWith('http') && end > 0 ? file.slice(0, end) : undefined;
}

// What a client shows to be known: an API key, or a client token, which ends and is asked for anew.

import { Problem } from './problem.js';

/** @import { TokenProvider } from './live.d.ts' */

/** The longest that a token provider may take. */
const PROVIDER_MS_MAX = 10_000;

export class Tokens {
  /** @type {string | null} */
  #token = null;
  /** By this page's clock, which goes on while the machine sleeps. */
  #endsAt = Infinity;
  /** @type {Promise<string> | null} */
  #question = null;
  #provider;

  /** @param {string | TokenProvider} source '' for nobody: public boards alone */
  constructor(source) {
    if (typeof source === 'string') this.#token = source;
    else if (typeof source !== 'function') throw new TypeError('token: a string, or a function that returns one');
    this.#provider = typeof source === 'function' ? source : null;
  }

  /** Whether a new one can be had where the server does not accept this one. */
  get canRenew() {
    return this.#provider !== null;
  }

  /**
   * The token; the provider is asked once for all who wait, and anew once the last token has lived its life. A Problem `token_unavailable` if it fails.
   * @returns {Promise<string>}
   */
  async get() {
    if (this.#token !== null && Date.now() < this.#endsAt) return this.#token;
    this.#question ??= this.#ask().finally(() => (this.#question = null));
    return this.#question;
  }

  /**
   * The server does not accept this token any more: the next `get` asks the provider, if there is one.
   * @param {string} token
   */
  forget(token) {
    if (this.#provider && token === this.#token) this.#token = null;
  }

  async #ask() {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const before = Date.now();
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no token within ${PROVIDER_MS_MAX} ms`)), PROVIDER_MS_MAX);
    });
    try {
      const token = await Promise.race([this.#provider?.(), late]);
      if (typeof token !== 'string') throw new TypeError('the token provider returned no string');
      this.#endsAt = before + lifeOf(token);
      return (this.#token = token);
    } catch (error) {
      throw new Problem('token_unavailable', error instanceof Error ? error.message : String(error), { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * How long a token lives, in ms. It is no date, so a page whose clock is wrong is right about it, too. Infinity for what is
 * no client token.
 * @param {string} token
 */
function lifeOf(token) {
  try {
    const { iat, exp } = JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
    return exp > iat ? (exp - iat) * 1000 : Infinity;
  } catch {
    return Infinity;
  }
}

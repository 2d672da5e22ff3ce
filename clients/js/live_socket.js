// One WebSocket: from its begin to its end, which it tells once. Who opens the next one is not its business.

import { Allowance } from './pauses.js';
import { Problem } from './problem.js';

/** @import { WebSocketClass } from './live.d.ts' */

const SUBPROTOCOL = 'leaderboard.v1';
/** Messages at once, and then a second; the server takes 100 and 50. */
const MESSAGES_MAX = 80;
const MESSAGES_A_S_MAX = 40;
/** Until it is open and the token accepted. */
const BEGIN_MS_MAX = 10_000;
/** The server says something every 25 s at least. After a longer silence it is asked, and has so long to answer. */
const SILENCE_MS = 35_000;
const ANSWER_MS = 5_000;

/**
 * @typedef {object} Owner
 * @property {() => void} onReady the server takes subscriptions from now on
 * @property {(frame: any) => void} onFrame
 * @property {(problem: Problem, code: number) => void} onEnd code: of the close; 0 where this side ended it
 */

export class LiveSocket {
  isReady = false;
  readyAt = Infinity;
  /** @type {any} */
  #socket;
  #token;
  #owner;
  #times;
  #isOver = false;
  #heardAt = performance.now();
  #allowance = new Allowance(MESSAGES_MAX, MESSAGES_A_S_MAX);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #watchdog;

  /**
   * @param {string} url
   * @param {string} token '' for none
   * @param {{WebSocket: WebSocketClass, silenceMs?: number, answerMs?: number}} options
   * @param {Owner} owner
   */
  constructor(url, token, { WebSocket, silenceMs = SILENCE_MS, answerMs = ANSWER_MS }, owner) {
    this.#token = token;
    this.#owner = owner;
    this.#times = { silenceMs, answerMs };
    const socket = (this.#socket = new WebSocket(url, SUBPROTOCOL));
    socket.onopen = () => this.#open();
    socket.onmessage = (/** @type {any} */ { data }) => this.#receive(data);
    socket.onclose = (/** @type {any} */ { code, reason }) => {
      const name = code >= 4000 ? `close_${code}` : 'connection_lost';
      this.#end(new Problem(name, String(reason || `the connection was closed (${code})`)), code);
    };
    socket.onerror = () => {}; // A close follows, and says more.
    this.#watch(BEGIN_MS_MAX, () => this.#end(new Problem('unreachable', 'no connection in time'), 0));
  }

  /**
   * @param {object} message
   * @returns {number} 0: it is on its way; else ms, after which it may be sent
   */
  send(message) {
    if (this.#isOver || this.#socket.readyState !== 1) return 0; // Its end follows, and all is sent anew.
    const wait = this.#allowance.take();
    if (!wait) this.#socket.send(JSON.stringify(message));
    return wait;
  }

  /** Asks whether anybody is there. Without an answer in time this is the end. */
  probe() {
    if (!this.isReady) return;
    const since = this.#heardAt;
    if (this.#socket.readyState === 1) this.#socket.send(JSON.stringify({ type: 'ping' })); // The allowance leaves room for it.
    this.#watch(this.#times.answerMs, () => {
      if (this.#heardAt > since) this.#wait();
      else this.#end(new Problem('silence', 'the server does not answer'), 0);
    });
  }

  /** Ends it; nothing more is told. */
  close() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.isReady = false;
    clearTimeout(this.#watchdog);
    this.#socket.close(1000);
  }

  #open() {
    if (this.#isOver) return;
    if (this.#token) this.#socket.send(JSON.stringify({ type: 'auth', token: this.#token }));
    else this.#begin();
  }

  #begin() {
    this.isReady = true;
    this.readyAt = this.#heardAt = performance.now();
    this.#wait();
    this.#owner.onReady();
  }

  /** @param {unknown} data */
  #receive(data) {
    if (this.#isOver) return;
    this.#heardAt = performance.now();
    try {
      const frame = JSON.parse(String(data));
      if (frame.type === 'ready') this.#begin();
      else this.#owner.onFrame(frame);
    } catch (cause) {
      this.#end(new Problem('bad_answer', 'a frame that cannot be read', { cause }), 0);
    }
  }

  /** Waits for a silence, and then asks. One timer for many frames. */
  #wait() {
    const left = this.#heardAt + this.#times.silenceMs - performance.now();
    if (left > 0) this.#watch(left, () => this.#wait());
    else this.probe();
  }

  /**
   * @param {number} ms
   * @param {() => void} act
   */
  #watch(ms, act) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(act, ms);
  }

  /**
   * @param {Problem} problem
   * @param {number} code
   */
  #end(problem, code) {
    if (this.#isOver) return;
    this.close();
    if (problem.code === 'silence') this.#socket.terminate?.(); // The package ws would wait for a goodbye.
    this.#owner.onEnd(problem, code);
  }
}

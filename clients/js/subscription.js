// One subscription of a live connection.

import { BoardCopy } from './board_copy.js';

/** @import { OnChange, Problem, State, Watch, Subscription as Contract } from './live.d.ts' */

/** After a subscription that lasted this long, the next try comes soon. */
const STABLE_MS = 5_000;

/** @implements {Contract} */
export class Subscription {
  /** @type {State} */
  state = 'connecting';
  /** Why it is not live. @type {Problem | null} */
  problem = null;
  /** The id at the server; 0: the server does not know of it. */
  number = 0;
  /** Whether the server is to be told of it as soon as it takes messages. */
  isDue = true;
  copy = new BoardCopy();
  #request;
  #tries = 0;
  #liveSince = Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #callbacks;
  #leave;
  #onState;

  /**
   * @param {Watch} watch
   * @param {OnChange} onChange
   * @param {import('./callbacks.js').Callbacks} callbacks
   * @param {(subscription: Subscription) => void} leave ends it at the connection
   */
  constructor(watch, onChange, callbacks, leave) {
    const { namespace, window = 'all', category, view = { kind: 'top', limit: 10 }, onState } = watch;
    if (typeof namespace !== 'string') throw new TypeError('namespace: a string');
    if (typeof onChange !== 'function') throw new TypeError('onChange: a function');
    this.#request = { namespace, window, category, view };
    this.onChange = onChange;
    this.#onState = onState;
    this.#callbacks = callbacks;
    this.#leave = leave;
  }

  /** The newest state; null before the first, and while there is no such board. */
  get board() {
    return this.copy.board;
  }

  unsubscribe() {
    this.#leave(this);
  }

  /**
   * The message that begins it.
   * @param {number} number
   */
  message(number) {
    return { type: 'subscribe', id: number, ...this.#request, ...this.copy.resume };
  }

  /**
   * The server was told of it.
   * @param {number} number
   */
  begin(number) {
    this.number = number;
    this.isDue = false;
  }

  /**
   * @param {State} state
   * @param {Problem | null} [problem]
   */
  tell(state, problem = null) {
    if (this.state === 'closed' || (state === this.state && problem?.code === this.problem?.code)) return;
    if (state === 'live') this.#liveSince = performance.now();
    this.state = state;
    this.problem = problem;
    if (this.#onState) this.#callbacks.call(() => this.#onState?.(state, problem));
  }

  /** How often in a row it could not begin; 0 after it has been live for a while. Counts one more. */
  nextTry() {
    if (performance.now() - this.#liveSince >= STABLE_MS) this.#tries = 0;
    this.#liveSince = Infinity;
    return this.#tries++;
  }

  /**
   * The server does not know of it from now on.
   * @param {number} [ms] after which it is due again; none: at once
   * @param {() => void} [act] called then
   */
  rest(ms = 0, act = () => {}) {
    clearTimeout(this.#timer);
    this.number = 0;
    this.isDue = ms === 0;
    if (this.isDue) return;
    this.#timer = setTimeout(() => {
      this.isDue = true;
      act();
    }, ms);
  }

  /** @param {Problem | null} problem */
  end(problem) {
    this.rest();
    this.isDue = false;
    this.tell('closed', problem);
  }
}

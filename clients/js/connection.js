// A live connection: many boards over one WebSocket after the other.

import { Callbacks } from './callbacks.js';
import { PASSED, PATIENT, RENEWAL, SOON, UNAUTHORIZED, REVOKED, afterClose, afterError } from './comebacks.js';
import { LiveSocket } from './live_socket.js';
import { watchPage } from './page_view.js';
import { fullJitter } from './pauses.js';
import { Problem } from './problem.js';
import { Subscription } from './subscription.js';

/** @import { ConnectOptions, OnChange, State, Watch, LiveConnection as Contract } from './live.d.ts' */
/** @import { Bounds } from './comebacks.js' */
/** @import { Tokens } from './tokens.js' */

/** Subscriptions of a connection; the server takes no more. */
const SUBSCRIPTIONS_MAX = 50;
/** How long a page may be hidden before the connection is closed. */
const HIDDEN_MS = 60_000;
/** After a connection that lasted this long, the next try comes soon. */
const STABLE_MS = 5_000;
/** A page that is shown again tries at once, but not more often. */
const WAKE_MS = 1_000;
/** The longest that a server that shuts down may send a client away for. */
const DRAIN_MS_MAX = 60_000;
/** Tokens in a row that the server may refuse before the client gives up. */
const REFUSALS_MAX = 3;

/** @implements {Contract} */
export class LiveConnection {
  /** @type {State} */
  state = 'waiting';
  /** Why it is not live. @type {Problem | null} */
  problem = null;
  /** @type {Set<Subscription>} */
  #subscriptions = new Set();
  /** By their ids at the server. @type {Map<number, Subscription>} */
  #numbers = new Map();
  /** Ids that the server has to be told to end. At most as many as it knows. @type {Set<number>} */
  #farewells = new Set();
  /** @type {LiveSocket | null} */
  #socket = null;
  /** Counts the tries to connect: what an earlier one still brings is not for this one. */
  #attempt = 0;
  #lastNumber = 0;
  #token = '';
  #isHidden = false;
  #isPatient = false;
  #tries = 0;
  #refusals = 0;
  #triedAt = -Infinity;
  /** @type {Record<string, ReturnType<typeof setTimeout> | undefined>} */
  #timers = {};
  #endPage;
  #url;
  #tokens;
  #options;
  #random;
  #onState;
  #callbacks;

  /**
   * @param {string} url of the WebSocket
   * @param {Tokens} tokens
   * @param {ConnectOptions} options
   */
  constructor(url, tokens, options) {
    const { WebSocket = globalThis.WebSocket, random = Math.random, hiddenMs = HIDDEN_MS, onState, onError } = options;
    if (!WebSocket) throw new TypeError('WebSocket: there is none here; pass the class of the package ws');
    this.#url = url;
    this.#tokens = tokens;
    this.#options = { ...options, WebSocket };
    this.#random = random;
    this.#onState = onState;
    this.#callbacks = new Callbacks(onError);
    this.#endPage = watchPage(hiddenMs, { onHide: () => this.#hide(), onShow: () => this.#show() });
  }

  /**
   * @param {Watch} watch
   * @param {OnChange} onChange
   */
  subscribe(watch, onChange) {
    if (this.state === 'closed') throw new Problem('closed', 'this connection is closed', { cause: this.problem });
    if (this.#subscriptions.size >= SUBSCRIPTIONS_MAX) {
      throw new Problem('rate_limited', `a connection has at most ${SUBSCRIPTIONS_MAX} subscriptions`);
    }
    const subscription = new Subscription(watch, onChange, this.#callbacks, (one) => this.#leave(one));
    this.#subscriptions.add(subscription);
    if (this.state === 'waiting' && !this.problem) this.#connect();
    else if (this.state === 'waiting') subscription.tell('waiting', this.problem);
    else this.#settle();
    return subscription;
  }

  close() {
    this.#end(null);
  }

  async #connect() {
    if (this.#isHidden || this.state === 'closed') return;
    this.#hangUp();
    const attempt = this.#attempt;
    this.#triedAt = performance.now();
    this.#tellAll('connecting', null);
    try {
      const token = await this.#tokens.get();
      if (attempt !== this.#attempt) return;
      this.#token = token;
      this.#socket = new LiveSocket(this.#url, token, this.#options, {
        onReady: () => this.#begin(),
        onFrame: (frame) => this.#take(frame),
        onEnd: (problem, code) => this.#react(problem, code),
      });
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (error instanceof Problem) this.#lose(error, SOON);
      else this.#end(new Problem('unreachable', String(error), { cause: error }));
    }
  }

  #begin() {
    this.#refusals = 0;
    this.#tell('live', null);
    this.#settle();
  }

  // Sending.

  /** Tells the server what it does not know yet, as fast as it takes it. */
  #settle() {
    const socket = this.#socket;
    if (!socket?.isReady) return;
    const later = (/** @type {number} */ wait) => this.#after('settle', wait, () => this.#settle());
    for (const number of this.#farewells) {
      const wait = socket.send({ type: 'unsubscribe', id: number });
      if (wait) return later(wait);
      this.#farewells.delete(number);
    }
    for (const subscription of this.#subscriptions) {
      if (!subscription.isDue) continue;
      const number = this.#lastNumber + 1;
      const wait = socket.send(subscription.message(number));
      if (wait) return later(wait);
      subscription.begin(number);
      this.#numbers.set((this.#lastNumber = number), subscription);
    }
  }

  /** @param {Subscription} subscription */
  #leave(subscription) {
    if (!this.#subscriptions.delete(subscription)) return;
    this.#dismiss(subscription);
    subscription.end(null);
    if (!this.#subscriptions.size && !this.#socket?.isReady) this.#idle();
    else this.#settle();
  }

  /** The frames of its id are for nobody any more. @param {Subscription} subscription */
  #dismiss(subscription) {
    if (this.#numbers.delete(subscription.number)) this.#farewells.add(subscription.number);
  }

  // Receiving.

  /** @param {any} frame */
  #take(frame) {
    const subscription = this.#numbers.get(frame.id);
    switch (frame.type) {
      case 'drain':
        return this.#drain(frame.retry_ms);
      case 'error':
        return this.#fail(new Problem(frame.code, frame.detail, { field: frame.field }), frame.id, subscription);
      case 'snapshot':
      case 'delta':
      case 'uptodate':
        return subscription && this.#change(subscription, frame);
      default: // `ping`, `pong`, and what a later server says: that it came is enough.
    }
  }

  /**
   * @param {Subscription} subscription
   * @param {any} frame
   */
  #change(subscription, frame) {
    const { copy } = subscription;
    if (!copy.apply(frame)) {
      copy.forget();
      this.#dismiss(subscription);
      return this.#retry(subscription, new Problem('gap', 'a frame does not lead on from the state that is here'), PASSED);
    }
    subscription.tell('live');
    const { board } = copy;
    if (!board || frame.type === 'uptodate' || subscription.state === 'closed') return undefined;
    const change = { type: frame.type, upsert: frame.upsert ?? board.entries, remove: frame.remove ?? [] };
    return this.#callbacks.call(() => subscription.onChange(board, change));
  }

  /**
   * @param {Problem} problem
   * @param {number | null} number
   * @param {Subscription} [subscription]
   */
  #fail(problem, number, subscription) {
    if (number === null) return this.#lose(problem, SOON); // The token could not be checked.
    if (!subscription) return undefined; // It was left before the server knew.
    this.#numbers.delete(number);
    const { bounds, isAbsent } = afterError(problem.code);
    if (isAbsent) subscription.copy.forget();
    if (bounds) return this.#retry(subscription, problem, bounds);
    this.#subscriptions.delete(subscription);
    subscription.end(problem);
    return this.#callbacks.report(problem);
  }

  /**
   * Subscribes again: at once after the first gap, else after a wait.
   * @param {Subscription} subscription
   * @param {Problem} problem
   * @param {Bounds} bounds
   */
  #retry(subscription, problem, bounds) {
    const tries = subscription.nextTry();
    const wait = problem.code === 'gap' && tries === 0 ? 0 : 1 + fullJitter(tries, bounds, this.#random);
    subscription.rest(wait, () => this.#settle());
    subscription.tell('waiting', problem);
    this.#callbacks.report(problem);
    this.#settle();
  }

  // Losing it, and coming back.

  /** @param {number} retryMs */
  #drain(retryMs) {
    const away = Math.min(Number(retryMs) || 0, DRAIN_MS_MAX);
    // Every client is sent away for the same time: they come back spread over as long again. Who is sent away again and
    // again waits as after losses.
    this.#lose(new Problem('draining', 'the server shuts down'), SOON, away * (1 + this.#random()));
  }

  /**
   * @param {Problem} problem
   * @param {number} code
   */
  #react(problem, code) {
    const mayRenew = code === UNAUTHORIZED && this.#tokens.canRenew && ++this.#refusals < REFUSALS_MAX;
    if (mayRenew || code === REVOKED) this.#tokens.forget(this.#token);
    const bounds = mayRenew ? RENEWAL : problem.code === 'bad_answer' ? PATIENT : afterClose(code);
    if (bounds) this.#lose(problem, bounds);
    else this.#end(problem);
  }

  /**
   * @param {Problem} problem
   * @param {Bounds} bounds
   * @param {number} [least] ms to wait, at least
   */
  #lose(problem, bounds, least = 0) {
    if (this.#socket && performance.now() - this.#socket.readyAt >= STABLE_MS) this.#tries = 0;
    this.#hangUp();
    this.#isPatient = bounds === PATIENT;
    const later = Math.max(least, fullJitter(this.#tries++, bounds, this.#random));
    if (this.#subscriptions.size) this.#after('connect', later, () => this.#connect());
    this.#tellAll('waiting', this.#subscriptions.size ? problem : null);
    if (problem.code !== 'draining') this.#callbacks.report(problem);
  }

  /** Nothing is watched: nothing is tried. */
  #idle() {
    this.#hangUp();
    this.#tell('waiting', null);
  }

  /** @param {Problem | null} problem */
  #end(problem) {
    if (this.state === 'closed') return;
    this.#hangUp();
    this.#endPage();
    const subscriptions = [...this.#subscriptions];
    this.#subscriptions.clear();
    this.#tell('closed', problem);
    for (const subscription of subscriptions) subscription.end(problem);
    if (problem) this.#callbacks.report(problem);
  }

  /** Lets go of the socket. The server knows of no subscription from now on. */
  #hangUp() {
    this.#attempt += 1;
    this.#socket?.close();
    this.#socket = null;
    this.#lastNumber = 0;
    this.#numbers.clear();
    this.#farewells.clear();
    clearTimeout(this.#timers.settle);
    clearTimeout(this.#timers.connect);
    for (const subscription of this.#subscriptions) subscription.rest();
  }

  // Pages that are not shown.

  #hide() {
    this.#isHidden = true;
    this.#hangUp();
    this.#tellAll('waiting', new Problem('hidden', 'the page is not shown'));
  }

  /** The page is shown again, or the network is back: finds out now whether the connection is still one. */
  #show() {
    this.#socket?.probe();
    if (this.#isHidden && !this.#subscriptions.size) this.#idle();
    const isDue = this.#isHidden || (!this.#isPatient && performance.now() - this.#triedAt >= WAKE_MS);
    this.#isHidden = false;
    if (this.state === 'waiting' && this.problem && isDue) this.#connect();
  }

  // Telling.

  /**
   * @param {string} timer
   * @param {number} ms
   * @param {() => void} act
   */
  #after(timer, ms, act) {
    clearTimeout(this.#timers[timer]);
    this.#timers[timer] = setTimeout(act, ms);
  }

  /**
   * @param {State} state
   * @param {Problem | null} problem
   */
  #tell(state, problem) {
    if (state === this.state && problem?.code === this.problem?.code) return;
    this.state = state;
    this.problem = problem;
    if (this.#onState) this.#callbacks.call(() => this.#onState?.(state, problem));
  }

  /**
   * @param {State} state
   * @param {Problem | null} problem
   */
  #tellAll(state, problem) {
    this.#tell(state, problem);
    for (const subscription of [...this.#subscriptions]) subscription.tell(state, problem);
  }
}

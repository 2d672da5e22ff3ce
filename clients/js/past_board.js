// A board as it was at a moment, by REST: one question at a time, and the newest wish wins.

import { fullJitter, pause } from './pauses.js';

/** Statuses that pass, and 0: no answer. */
const PASSING = new Set([0, 408, 429, 502, 503, 504]);
/** Bounds of the first wait between two tries, and of the longest, beyond `Retry-After`. */
const WAITS = [500, 8_000];
const TRIES_MAX = 8;

export class PastBoard {
  /** The newest answer; null before the first, and after a refusal. */
  board = null;
  /** `{name, code}`: connecting, past, reconnecting or stopped. */
  state = { name: 'connecting', code: '' };
  #ask;
  #onNews;
  #wish = ''; // The moment that is to be shown.
  #isAsking = false;
  #end = new AbortController();

  /** ask(moment, signal): a promise of the board, tried once. onNews: called when `board` or `state` is another one. */
  constructor(ask, onNews) {
    this.#ask = ask;
    this.#onNews = onNews;
  }

  /** moment: ISO, as the server takes it. The last board stays until the answer. */
  seek(moment) {
    if (moment === this.#wish) return;
    this.#wish = moment;
    if (!this.#isAsking) this.#read();
  }

  /** Nothing is asked or told any more. */
  end() {
    this.#end.abort();
  }

  async #read() {
    this.#isAsking = true;
    const { signal } = this.#end;
    for (let wish = '', tries = 0, isDone = false; !isDone || wish !== this.#wish;) {
      if (wish !== this.#wish) [wish, tries] = [this.#wish, 0];
      const answer = await this.#ask(wish, signal).catch((error) => error);
      if (signal.aborted) return;
      const problem = answer instanceof Error ? answer : null;
      isDone = !problem || !PASSING.has(problem.status) || ++tries >= TRIES_MAX;
      if (!problem) this.#tell(answer, { name: 'past', code: '' });
      else this.#tell(isDone ? null : this.board, { name: isDone ? 'stopped' : 'reconnecting', code: problem.code });
      // A newer wish waits as long: the server asked for it.
      if (!isDone) await pause((problem.retryAfterMs ?? 0) + fullJitter(tries, WAITS, Math.random), signal).catch(() => {});
      if (signal.aborted) return;
    }
    this.#isAsking = false;
  }

  #tell(board, state) {
    [this.board, this.state] = [board, state];
    this.#onNews();
  }
}

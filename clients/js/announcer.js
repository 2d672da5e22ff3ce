// Says to screen readers who leads now: politely, and not too often.

const PAUSE_MS = 15_000;

export class Announcer {
  #element;
  #leader = null;
  #saidAt = -Infinity;

  /** element: a live region (`role=status`). */
  constructor(element) {
    this.#element = element;
  }

  /** Another board: whoever leads there is no news. */
  forget() {
    this.#leader = null;
  }

  /** first: the entry of the first row, or undefined; scale: of its score. */
  tell(first, scale, words) {
    const isNew = this.#leader !== null && first && first.user_id !== this.#leader;
    this.#leader = first?.position === 1 ? first.user_id : null;
    if (!isNew || this.#leader === null || performance.now() - this.#saidAt < PAUSE_MS) return;
    this.#saidAt = performance.now();
    const name = first.display_name || first.user_id;
    this.#element.textContent = words.say('leads', { name, score: words.score(first.score, scale) });
  }
}

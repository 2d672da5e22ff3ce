// The list of boards that the key may read: asked for now and then, since boards are made while the page is open.

const LIST_MS = 20_000;
const EMPTY_LIST_MS = 5_000;
/** A control that is looked at asks at once, but not more often. */
const FRESH_MS = 2_000;
const DEADLINE_MS = 10_000;

export class BoardList {
  boards = [];
  #token = '';
  #timer = 0;
  #misses = 0;
  #triedAt = -Infinity;
  #owner;

  /** owner: onList(), onRefusal() of the key, onAbsence() of the server. */
  constructor(owner) {
    this.#owner = owner;
    document.addEventListener('visibilitychange', () => document.hidden || this.refresh());
  }

  /** Anew, for another key. */
  begin(token) {
    this.#token = token;
    this.boards = [];
    return this.#ask();
  }

  refresh() {
    if (performance.now() - this.#triedAt > FRESH_MS) this.#ask();
  }

  async #ask() {
    clearTimeout(this.#timer);
    this.#triedAt = performance.now();
    const token = this.#token;
    if (!/^[\x21-\x7e]*$/.test(token)) return this.#owner.onRefusal();
    const [status, body] = await fetch('/v1/namespaces?prefix=', {
      headers: token ? { authorization: `Bearer ${token}` } : {}, cache: 'no-store', signal: AbortSignal.timeout(DEADLINE_MS),
    }).then(async (answer) => [answer.status, await answer.json()]).catch(() => [0, null]);
    if (token !== this.#token) return undefined; // Another key was entered meanwhile and has an answer of its own.
    if (status === 401 || status === 403) return this.#owner.onRefusal();
    if (status === 200) {
      this.boards = body.namespaces;
      this.#misses = 0;
      this.#owner.onList();
    } else if (!this.boards.length) {
      this.#owner.onAbsence();
    }
    const usual = this.boards.length ? LIST_MS : EMPTY_LIST_MS;
    const wait = status === 200 ? usual : Math.min(usual, 1_000 * 2 ** this.#misses++);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => document.hidden || this.#ask(), wait * (0.75 + Math.random() / 2));
    return undefined;
  }
}

// How far the users of a board have moved since a moment: their ranks of then are asked for seldom, and the arrows follow
// the live ranks of now.

/** Between two questions: the server works each out from the ledger. */
const ASK_MS = 60_000;
/** A user who came into view meanwhile makes the next question come sooner, but not more often than this. */
const SOON_MS = 10_000;
/** Before the first: who looks through several boards asks nothing. */
const FIRST_MS = 700;
const WAIT_MS_MAX = 600_000;
const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Milliseconds of each of `24h 15m`; `7d`, too.
 * @param {string | null} text
 * @returns {number[]} without what is no duration
 */
export function readDurations(text) {
  const parts = (text ?? '').split(/\s+/).map((one) => /^(\d{1,4})([mhd])$/.exec(one));
  return parts.filter(Boolean).map(([, number, unit]) => Number(number) * UNITS[unit]).filter((ms) => ms > 0);
}

export class RankChanges {
  #ask = null; // What asks for the entries of now with their `rank_change`, since a moment
  #spans = []; // ms: how far back; the first that the board is old enough for
  #starts = 0;
  #before = new Map(); // user → rank at that moment; null: on no rank then
  #since = 0;
  #timer = 0;
  #triedAt = -Infinity;
  #misses = 0;
  #onNews;

  /** onNews: called when there is something new to draw. */
  constructor(onNews) {
    this.#onNews = onNews;
    this.onVisible = () => document.hidden || this.#plan(0);
  }

  /** ask(since): a promise of the answer; null while the board is not live. spans: how far back, in ms. */
  begin(ask, spans) {
    this.end();
    [this.#ask, this.#spans, this.#misses] = [ask, spans, 0];
    document.addEventListener('visibilitychange', this.onVisible);
  }

  end() {
    clearTimeout(this.#timer);
    document.removeEventListener('visibilitychange', this.onVisible);
    [this.#ask, this.#timer, this.#since, this.#triedAt] = [null, 0, 0, -Infinity];
    this.#before = new Map();
  }

  /**
   * Asks for what is missing. starts: of the board's window, where it has one: before it, nobody had a rank.
   * @param {{starts: string | null, entries: readonly {user_id: string}[]}} board
   */
  look({ starts, entries }) {
    if (!this.#ask || !entries.length) return;
    this.#starts = starts ? Date.parse(starts) : 0;
    if (this.#triedAt === -Infinity) this.#timer ||= setTimeout(() => this.#read(), FIRST_MS);
    else if (!this.#misses && entries.some(({ user_id: user }) => !this.#before.has(user))) this.#plan(SOON_MS);
  }

  /** `{by, since}`: ranks risen (below 0: fallen) since a moment; by is null for one who had none. Nothing if unknown. */
  of({ user_id: user, rank }) {
    const before = this.#before.get(user);
    if (before === undefined) return undefined;
    return { by: before === null ? null : before - rank, since: this.#since };
  }

  /** The next question comes `ms` after the last one at the latest. */
  #plan(ms) {
    const wait = Math.max(0, this.#triedAt + Math.max(ms, SOON_MS) - performance.now());
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read(), wait);
  }

  async #read() {
    const ask = this.#ask;
    if (!ask || document.hidden) return undefined; // It is asked when it is shown.
    this.#triedAt = performance.now();
    const since = this.#spans.map((ms) => Date.now() - ms).find((moment) => moment > this.#starts);
    if (since === undefined) return this.#later(1); // The window has only begun.
    const answer = await ask(new Date(since)).catch((problem) => problem);
    if (ask !== this.#ask) return undefined; // Another board is shown by now.
    if (answer instanceof Error) {
      // Beyond what the server works out: it will be so the next time, too.
      if (![400, 401, 403, 404, 413, 422].includes(answer.status)) this.#later(2 ** ++this.#misses);
      return undefined;
    }
    this.#misses = 0;
    if (!answer) return this.#plan(SOON_MS);
    const nearer = this.#spans.filter((ms) => Date.now() - ms > since + 1_000);
    if (nearer.length && answer.entries.every((entry) => entry.rank_change === null)) {
      this.#spans = nearer; // Nobody was on it then: it is younger.
      return this.#read();
    }
    this.#since = since;
    const ranks = answer.entries.map((entry) => [entry.user_id, entry.rank_change === null ? null : entry.rank + entry.rank_change]);
    // A board that nobody was on: to call everybody new says nothing.
    this.#before = ranks.some(([, rank]) => rank !== null) ? new Map(ranks) : new Map(ranks.map(([user]) => [user, undefined]));
    this.#later(1);
    this.#onNews();
    return undefined;
  }

  #later(times) {
    this.#plan(Math.min(ASK_MS * times, WAIT_MS_MAX) * (0.75 + Math.random() / 2));
  }
}

// The copy of a watched board that a client has, and how frames change it.

/** @import { Board, Entry } from './live.d.ts' */

/** The most rows of a view: a `top` of 100. */
const ROWS_MAX = 100;

export class BoardCopy {
  /** @type {Map<string, Entry>} */
  #rows = new Map();
  /** The newest state; null before the first. It never changes: each frame makes a new one. @type {Board | null} */
  board = null;

  /**
   * Where to go on after a lost connection; nothing without a state. A version does not tell which names a copy has, so a
   * copy with names is asked for anew.
   * @returns {{epoch?: number, version?: number, resume_window?: string}}
   */
  get resume() {
    const board = this.board;
    if (!board || board.entries.some((entry) => entry.display_name !== null || entry.avatar !== null)) return {};
    return { epoch: board.epoch, version: board.version, resume_window: board.window };
  }

  forget() {
    this.#rows = new Map();
    this.board = null;
  }

  /**
   * Applies a frame. O(rows · log rows), a hundred at most.
   * @param {any} frame
   * @returns {boolean} false: the frame does not lead on from this copy, which has to be asked for anew
   */
  apply(frame) {
    const { board } = this;
    if (frame.type === 'uptodate') return board?.version === frame.version && board?.window === frame.window;
    const isDelta = frame.type === 'delta';
    if (isDelta && (board?.version !== frame.from || board?.window !== frame.window)) return false;
    const rows = new Map(isDelta ? this.#rows : []);
    for (const user of frame.remove ?? []) rows.delete(user);
    for (const entry of isDelta ? frame.upsert : frame.entries) rows.set(entry.user_id, entry);
    const entries = [...rows.values()].sort((a, b) => a.position - b.position);
    if (entries.length > ROWS_MAX || entries.some((entry, i) => entry.position === entries[i - 1]?.position)) return false;
    this.#rows = rows;
    const { window, starts, ends, version, total, stats } = frame;
    const epoch = frame.epoch ?? board?.epoch;
    const state = { window, starts, ends, epoch, version, total, entries: Object.freeze(entries) };
    this.board = Object.freeze(stats === undefined ? state : { ...state, stats });
    return true;
  }
}

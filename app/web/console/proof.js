// The proof of an act: the boards, read again, beside those of before.
import { addressOf, boardName, button, copyButton, el, number, table } from './dom.js';
import { placeOn, topOf } from './ledger.js';
import { say } from './text.js';

/** Boards that are read again after a correction. A grant moves one for each period, and those of its category. */
const BOARDS_MAX = 20;
const TOP = 5;

/** What would change, as a table. */
export function movesTable(caption, moves) {
  return table(caption, [say('board'), say('scoreBefore'), say('scoreAfter'), say('rankBefore'), say('rankAfter')], moves.map((move) => [
    boardName(move.window, move.category), number(move.previous_score), score(move), number(move.previous_rank),
    move.rank === undefined ? say('later') : number(move.rank),
  ]));
}

const score = ({ score: value }) => (value === null ? say('offBoard') : number(value));

/** The first of the board that changes most visibly: that of `all`, where there is one. */
export async function topBefore(namespace, moves) {
  const board = moves.find(({ window, category }) => window === 'all' && category === null) ?? moves[0];
  return board && { ...board, entries: await topOf(namespace, board.window, board.category, TOP) };
}

/**
 * Reads each board that was to change, and says whether it is what was said before the deed.
 * acts: {text, undo}: what was done in one sentence, and what takes it back, or null.
 */
export async function proofOf(namespace, user, { text, reason, moves, top, undo }) {
  const rows = await Promise.all(moves.slice(0, BOARDS_MAX).map(async (move) => {
    const now = await placeOn(namespace, move.user_id, move.window, { category: move.category });
    const isSame = now.score === move.score && (move.rank === undefined || now.rank === move.rank);
    return [boardName(move.window, move.category), number(move.previous_score), number(now.score), number(move.previous_rank), number(now.rank),
      isSame ? `✓ ${say('asPredicted')}` : `! ${say('notAsPredicted')}`];
  }));
  const after = top && await topOf(namespace, top.window, top.category, TOP);
  const address = addressOf('moderate', namespace, 'user', user);
  const done = el('h3', { className: 'good', tabIndex: -1 }, `✓ ${text}`);
  const proof = el('section', { className: 'proof' },
    done,
    reason ? el('p', {}, `${say('reason')}: `, el('bdi', {}, reason)) : null,
    rows.length ? table(say('proven'), [say('board'), say('scoreBefore'), say('scoreNow'), say('rankBefore'), say('rankNow'), say('state')], rows) : el('p', {}, say('noMoves')),
    top ? el('div', { className: 'pair' },
      topTable(say('topBefore', { board: boardName(top.window, top.category) }), top.entries, user),
      topTable(say('topNow', { board: boardName(top.window, top.category) }), after, user)) : null,
    el('div', { className: 'buttons' },
      undo ? button(say('undo'), undo) : null,
      copyButton(say('copyLink'), () => new URL(address, location.href).href)));
  queueMicrotask(() => done.focus());
  return proof;
}

function topTable(caption, entries, user) {
  return table(caption, [say('rank'), say('user'), say('score')], entries.map((entry) =>
    Object.assign([number(entry.rank), entry.display_name ?? entry.user_id, number(entry.score)], { tone: entry.user_id === user ? 'mine' : '' })));
}

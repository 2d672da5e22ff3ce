// One correction: what would change, a reason, the deed, and the proof from the boards themselves.
import { call } from './api.js';
import { button, el, field, number, table } from './dom.js';
import { TEXT as t } from './text_en.js';

/** Boards that are read again after a correction. A grant moves one for each period, and those of its category. */
const PROOFS_MAX = 20;

/**
 * The calls of a correction of a grant that is at this revision. kind: void, edit or restore.
 * @returns {(options: {isDry: boolean, reason: string, amount?: number}) => Promise<any>}
 */
function callsOf(kind, namespace, grant) {
  const path = ['namespaces', namespace, 'grants', grant.grant_id];
  const { revision } = grant;
  return ({ isDry, reason, amount }) => {
    const dry = isDry ? { dry_run: true } : {};
    const why = reason ? { reason } : {};
    if (kind === 'void') return call('DELETE', path, { query: { ...dry, ...why, revision } });
    if (kind === 'edit') return call('PATCH', path, { query: dry, body: { amount, ...why, revision } });
    return call('POST', [...path, 'restore'], { query: dry, body: { ...why, revision } });
  };
}

/**
 * The form of one correction. done: called after it was made, with what was proven; run: shows work and problems.
 */
export function correctionForm(kind, namespace, grant, { run, done, cancel, verb = t[kind] }) {
  const send = callsOf(kind, namespace, grant);
  const amount = kind === 'edit' ? el('input', { inputMode: 'decimal', required: true, value: String(grant.amount), name: 'amount' }) : null;
  const reason = el('input', { maxLength: 256, required: true, name: 'reason', autocomplete: 'off' });
  const preview = el('div', { className: 'preview' });
  let moves = null;
  const deed = el('button', { type: 'submit', className: 'danger', disabled: true }, `${verb}: ${t.doIt}`);
  const values = () => ({ reason: reason.value.trim(), amount: amount ? Number(amount.value) : undefined });
  const look = () => run(async () => {
    moves = (await send({ ...values(), isDry: true })).moves;
    preview.replaceChildren(moves.length ? movesTable(t.wouldChange, moves) : el('p', {}, t.noMoves));
    deed.disabled = false;
    reason.focus();
  });
  // Another amount needs another look.
  amount?.addEventListener('input', () => { deed.disabled = true; });
  const form = el('form', {
    className: 'correction', autocomplete: 'off',
    onsubmit: (event) => {
      event.preventDefault();
      run(async () => {
        deed.disabled = true;
        try {
          await send({ ...values(), isDry: false });
        } catch (problem) {
          deed.disabled = false;
          throw problem;
        }
        await done(await prove(namespace, moves));
      });
    },
  },
  el('h3', {}, verb, ' ', el('bdi', {}, grant.grant_id)),
  amount && field(t.newAmount, amount), preview, field(t.reason, reason),
  el('div', { className: 'buttons' }, kind === 'edit' ? button(t.tryIt, look) : null, deed, button(t.cancel, cancel)));
  if (kind !== 'edit') look();
  return form;
}

const windowOf = ({ window, category }) => (category ? `${window} · ${category}` : window);

function movesTable(caption, moves) {
  return table(caption, [t.board, t.user, `${t.score}: ${t.before}`, t.after, `${t.rank}: ${t.before}`, t.after], moves.map((move) => [
    windowOf(move), move.user_id, number(move.previous_score), number(move.score), number(move.previous_rank), number(move.rank),
  ]));
}

/** Reads each board that was to change, and says whether it is what the dry run said. */
async function prove(namespace, moves) {
  const rows = await Promise.all(moves.slice(0, PROOFS_MAX).map(async (move) => {
    const query = { user: move.user_id, ...(move.category ? { category: move.category } : {}) };
    const { entries } = await call('GET', ['namespaces', namespace, 'boards', move.window], { query });
    const now = entries.find((entry) => entry.user_id === move.user_id) ?? { score: null, rank: null };
    const isSame = now.score === move.score && now.rank === move.rank;
    return [windowOf(move), move.user_id, number(now.score), number(now.rank), isSame ? `✓ ${t.asSaid}` : `! ${t.notAsSaid}`];
  }));
  const title = el('p', { className: 'good' }, `✓ ${t.undone}`);
  return el('div', { className: 'proof' }, title, rows.length ? table(t.proven, [t.board, t.user, t.score, t.rank, t.state], rows) : el('p', {}, t.noMoves));
}

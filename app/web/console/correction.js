// Corrections: what would change, a reason, the deed, and the proof from the boards themselves.
import { markUndone, noteAct } from './acts.js';
import { call, newIdempotencyKey } from './api.js';
import { button, el, field, number } from './dom.js';
import { forgetScan } from './ledger.js';
import { project } from './projection.js';
import { movesTable, proofOf, topBefore } from './proof.js';
import { say } from './text.js';

/** Corrections of one call. The server takes 1,000. */
const CHUNK = 500;

/**
 * The form of a void or a restore of some grants of one user, or of an edit of one.
 * kind: void, restore, edit or approve; rules: the namespace's; grants: each at its revision.
 * why: a reason to begin with; amount: the new one of an edit; undoes: the act that this takes back.
 * done(proof): called after it was made; undo(act): opens the form that takes an act back.
 */
export function correctionForm(kind, namespace, rules, grants, { run, done, cancel, undo, why = '', amount: newAmount, undoes }) {
  const [{ user_id: user }] = grants;
  const verb = say(`acts.${kind}`);
  const amount = kind === 'edit' ? el('input', { inputMode: 'decimal', required: true, value: String(newAmount ?? grants[0].amount), name: 'amount' }) : null;
  const reason = el('input', { maxLength: 256, required: true, name: 'reason', autocomplete: 'off', value: why });
  const preview = el('div', { className: 'preview', role: 'status' }, el('p', { className: 'soft' }, say('working')));
  const deed = el('button', { type: 'submit', className: 'danger', disabled: true }, `${verb}: ${say('doIt')}`);
  let view = null;

  const look = () => run(async () => {
    view = kind === 'edit'
      ? { moves: (await edit(namespace, grants[0], { amount: Number(amount.value), isDry: true })).moves, isWhole: true }
      : await project(namespace, rules, kind === 'approve' ? 'restore' : kind, grants);
    preview.replaceChildren(
      view.moves.length ? movesTable(say('wouldChange'), view.moves) : el('p', {}, say('noMoves')),
      view.isWhole ? '' : el('p', { className: 'soft' }, say('moreBoards')));
    deed.disabled = false;
    reason.focus();
  });

  const send = () => run(async () => {
    deed.disabled = true;
    try {
      const top = await topBefore(namespace, view.moves);
      const why = reason.value.trim();
      const { revisions, refused } = kind === 'edit'
        ? { revisions: [await edit(namespace, grants[0], { amount: Number(amount.value), reason: why })], refused: [] }
        : await correctAll(kind === 'approve' ? 'restore' : kind, namespace, grants, why);
      forgetScan(namespace);
      if (undoes && !refused.length) markUndone(undoes.id);
      const byId = new Map(grants.map((grant) => [grant.grant_id, grant]));
      const act = noteAct({
        kind, namespace, user, reason: why, previous: grants[0].amount,
        grants: revisions.map(({ grant_id: id, revision }) => withRevision(byId.get(id), revision)),
      });
      const text = [say(`done.${kind}`, { n: revisions.length, user }), refused.length ? say('someRefused', { n: refused.length, why: refused[0].error.detail }) : ''].join(' ');
      await done(await proofOf(namespace, user, { text, reason: why, moves: view.moves, top, undo: act && undo ? () => undo(act) : null }));
    } catch (problem) {
      deed.disabled = false;
      throw problem;
    }
  });

  amount?.addEventListener('input', () => { deed.disabled = true; }); // Another amount needs another look.
  const sum = grants.reduce((all, one) => all + one.amount, 0);
  const what = grants.length === 1 ? el('bdi', {}, `${grants[0].grant_id} (${number(grants[0].amount)})`) : say('grantsOf', { n: grants.length, sum: number(sum) });
  const form = el('form', {
    className: 'correction', autocomplete: 'off', onsubmit: (event) => { event.preventDefault(); send(); },
    onkeydown: (event) => { if (event.key === 'Escape') cancel(); },
  },
  el('h3', {}, verb, ' ', what),
  amount && field(say('newAmount'), amount), kind === 'edit' ? el('div', { className: 'buttons' }, button(say('tryIt'), look)) : null,
  preview, field(say('reason'), reason, say('reasonHint')),
  el('div', { className: 'buttons' }, deed, button(say('cancel'), cancel)));
  if (kind === 'edit') preview.replaceChildren();
  else look();
  return form;
}

/** What takes an act back: the kind and the grants of another correction. */
export function reverseOf(act) {
  const why = say('undoReason', { reason: act.reason });
  const kind = { void: 'restore', restore: 'void', approve: 'void', edit: 'edit' }[act.kind];
  return { kind, grants: act.grants, options: { why: why.slice(0, 200), undoes: act, ...(kind === 'edit' ? { amount: act.previous } : {}) } };
}

function edit(namespace, { grant_id: id, revision }, { amount, reason, isDry }) {
  const query = isDry ? { dry_run: true } : {};
  return call('PATCH', ['namespaces', namespace, 'grants', id], { query, body: { amount, ...(reason ? { reason } : {}), revision } });
}

/** What an act keeps of a grant: enough to take it back. */
function withRevision({ grant_id, user_id, amount, granted_at, category, opening }, revision) {
  return { grant_id, user_id, amount, granted_at, category, opening, revision };
}

/** Corrects all. revisions: what each is at now; refused: results of those that were not corrected. */
async function correctAll(kind, namespace, grants, reason) {
  if (grants.length === 1) return { revisions: [await correctOne(kind, namespace, grants[0], reason)], refused: [] };
  const results = [];
  for (let first = 0; first < grants.length; first += CHUNK) {
    const body = grants.slice(first, first + CHUNK).map(({ grant_id, revision }) => ({ grant_id, op: kind, reason, revision }));
    const headers = { 'Idempotency-Key': newIdempotencyKey() };
    results.push(...(await call('POST', ['namespaces', namespace, 'corrections'], { body, headers })).results);
  }
  const { rejected: refused = [], done: revisions = [] } = Object.groupBy(results, ({ status }) => (status === 'rejected' ? status : 'done'));
  if (!revisions.length) throw new Error(refused[0].error.detail);
  return { revisions, refused };
}

function correctOne(kind, namespace, { grant_id: id, revision }, reason) {
  const path = ['namespaces', namespace, 'grants', id];
  const headers = { 'Idempotency-Key': newIdempotencyKey() };
  if (kind === 'void') return call('DELETE', path, { query: { reason, revision }, headers });
  return call('POST', [...path, 'restore'], { body: { reason, revision }, headers });
}

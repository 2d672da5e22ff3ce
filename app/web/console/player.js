// One user: where they stand, what makes the score of a board, and what is undone.
import { actById, markUndone, noteAct } from './acts.js';
import { call } from './api.js';
import { correctionForm, reverseOf } from './correction.js';
import { boardName, button, el, field, link, number, select, span, table, time } from './dom.js';
import { GrantTable } from './grant_table.js';
import { correctionsOf, historyOf, placeOn, rulesOf, scan } from './ledger.js';
import { isOn, running, scoreOf } from './score.js';
import { reasonsOf, usualOf } from './suspects.js';
import { say } from './text.js';
import { windowOf } from './windows.js';

/** The view of a user. act: the id of an act of this tab that is to be taken back. */
export async function playerView(namespace, user, { run, act }) {
  const path = ['namespaces', namespace, 'users', user];
  const rules = await rulesOf(namespace);
  const view = el('section', { className: 'card' });
  const [head, proof, form, reasons, ranks, past, done] = Array.from({ length: 7 }, () => el('div', {}));
  const categories = el('select', { name: 'category', onchange: () => run(explain) });
  const period = select([...rules.periods, ...rules.seasons.map(({ name }) => `season:${name}`)].map((name) => [boardName(name), name]), 'all', { name: 'window', onchange: () => run(explain) });
  const date = el('input', { type: 'date', name: 'date', onchange: () => run(explain) });
  const asOf = el('input', { type: 'datetime-local', step: 1, name: 'as_of', onchange: () => run(standThen) });
  const odd = el('div', { className: 'odd' });
  const grants = new GrantTable({ rules, namespace, onCorrect: correct });

  async function stand() {
    const standing = await call('GET', path);
    const flip = standing.hidden ? 'unhide' : 'hide';
    head.replaceChildren(
      el('div', { className: 'top' },
        el('h2', {}, el('bdi', {}, standing.profile?.display_name ?? standing.display_name ?? user), ' ', el('small', {}, el('bdi', {}, user)), standing.hidden ? el('b', { className: 'chip' }, say('hidden')) : ''),
        button(say(`acts.${flip}`), () => run(() => flipTo(flip)), { title: say(`hints.${flip}`) })),
      el('p', {}, say('summary', { score: number(standing.score), n: standing.grants })));
    const rows = Object.entries(standing.ranks ?? {}).map(([name, rank]) => [boardName(name), number(rank?.score), number(rank?.rank), number(rank?.gap_to_next)]);
    ranks.replaceChildren(table(say('ranks'), [say('board'), say('score'), say('rank'), say('gap')], rows));
    const names = Object.keys(standing.categories ?? {});
    const isKnown = names.join() === [...categories.options].slice(1).map(({ value }) => value).join();
    if (!isKnown) categories.replaceChildren(new Option(say('allCategories'), ''), ...names.map((name) => new Option(name, name)));
    categories.closest('.field').hidden = !rules.category_boards || !names.length;
  }

  async function flipTo(flip) {
    await call('POST', [...path, flip]);
    const noted = noteAct({ kind: flip, namespace, user, reason: '' });
    await stand();
    const back = flip === 'hide' ? 'unhide' : 'hide';
    proof.replaceChildren(el('section', { className: 'proof' }, el('h3', { className: 'good' }, `✓ ${say(`done.${flip}`, { user, n: 1 })}`),
      button(say('undo'), () => run(async () => { if (noted) markUndone(noted.id); await flipTo(back); }))));
  }

  let explanations = 0;
  async function explain() {
    const mine = ++explanations;
    const category = categories.value || null;
    const window = windowOf(period.value, date.value, rules);
    const place = await placeOn(namespace, user, window, { category });
    const [history, answer] = await Promise.all([
      historyOf(namespace, user, place),
      call('GET', [...path, 'explain'], { query: { window, limit: 1 } }),
    ]);
    if (mine !== explanations) return; // Another board was chosen meanwhile.
    const own = history.grants.filter((grant) => isOn(grant, place));
    const live = own.filter(({ voided }) => !voided);
    const added = scoreOf(live, rules);
    // The server's answer has no category; of one, the grants are added up here.
    const ledger = category === null ? answer.score : added;
    const rows = running(live, ledger ?? 0, rules);
    const byId = new Map(live.map((grant, i) => [grant.grant_id, rows[i]]));
    const [buttons] = await Promise.all([oddButtons(live), showCorrections(own)]);
    if (mine !== explanations) return;
    odd.replaceChildren(...buttons);
    grants.show(own.map((grant) => ({ grant, ...(byId.get(grant.grant_id) ?? { value: null, counts: false }) })));
    const isSame = place.score === ledger;
    const isAdded = !history.isWhole || added === ledger || answer.lost !== undefined;
    reasons.replaceChildren(
      el('h3', {}, say('why', { board: boardName(place.window, category), score: number(ledger) })),
      el('p', { className: isSame && isAdded ? 'good' : 'bad' }, isSame && isAdded ? `✓ ${say('provenBy', { n: live.length, score: number(ledger) })}` : `! ${say('notProven', { board: number(place.score), ledger: number(ledger) })}`),
      answer.lost === undefined ? '' : el('p', {}, say('lost', { score: number(answer.lost) })),
      answer.lag_seq ? el('p', { className: 'soft' }, say('lag', { n: answer.lag_seq })) : '',
      history.isWhole ? '' : el('p', { className: 'soft' }, say('newestOnly', { n: own.length })));
  }

  /** What stands out among the user's grants; each reason selects its grants. */
  async function oddButtons(live) {
    const others = await scan(namespace).catch(() => null); // Without `write` there is nothing to compare with.
    if (!others) return [];
    return reasonsOf(live, usualOf(others.grants, rules)).map((reason) => el('div', { className: 'reason' },
      el('p', {}, `⚠ ${reasonText(reason)}`),
      button(say('voidThese', { n: reason.grants.length }), () => { grants.select(reason.grants); correct('void', reason.grants); }, { className: 'danger' }),
      button(say('selectThese', { n: reason.grants.length }), () => grants.select(reason.grants))));
  }

  /** What was corrected, why and by which key; what is void can count again, all of one act together. */
  async function showCorrections(own) {
    const groups = await correctionsOf(namespace, user);
    const voided = new Map(own.filter((grant) => grant.voided && !grant.quarantined).map((grant) => [grant.grant_id, grant]));
    done.hidden = !groups.length;
    done.replaceChildren(table(say('corrections'), [say('recorded'), say('verb'), say('grantCount'), say('reason'), say('actor'), ''], groups.map((group) => {
      const back = group.type === 'voided' ? [...group.ids].map((id) => voided.get(id)).filter(Boolean) : [];
      return [time(group.at), say(`eventTypes.${group.type}`), number(group.ids.size), group.reason, group.actor,
        back.length ? button(say('restoreThese', { n: back.length }), () => correct('restore', back)) : '—'];
    })));
  }

  async function standThen() {
    if (!asOf.value) return past.replaceChildren();
    const moment = new Date(asOf.value).toISOString();
    const places = await Promise.all(rules.periods.map((name) => placeOn(namespace, user, windowOf(name, name === 'all' ? '' : moment.slice(0, 10), rules), { asOf: moment })));
    return past.replaceChildren(table(say('ranksThen'), [say('board'), say('score'), say('rank')], places.map((place) => [boardName(place.window), number(place.score), number(place.rank)])));
  }

  function correct(kind, chosen, options = {}) {
    proof.replaceChildren();
    const close = () => form.replaceChildren();
    const finish = async (shown) => { close(); proof.replaceChildren(shown); grants.select([]); await stand(); await explain(); };
    const undo = (one) => { const back = reverseOf(one); correct(back.kind, back.grants, back.options); };
    form.replaceChildren(correctionForm(kind, namespace, rules, chosen, { run, done: finish, cancel: close, undo, ...options }));
    form.scrollIntoView({ block: 'nearest' });
  }

  const explained = el('details', {}, el('summary', {}, say('otherBoard')), el('div', { className: 'find' },
    field(say('window'), period), field(say('date'), date, say('dateHint')), field(say('category'), categories), field(say('asOf'), asOf, say('asOfHint'))), past);
  view.append(head, proof, form, ranks, reasons, odd, done, explained, grants.element);
  await stand();
  await explain();
  const undoing = act && actById(act);
  if (undoing) {
    if (undoing.grants) { const back = reverseOf(undoing); correct(back.kind, back.grants, back.options); }
    else head.querySelector('button').focus();
  }
  return view;
}

/** Why grants stand out, in a sentence. */
export function reasonText({ kind, grants, ms, usual, amount, source, also = [] }) {
  const values = { n: grants.length, time: span(ms ?? 0), usual: number(usual), amount: number(amount), source };
  return [say(`suspicions.${kind}`, values), ...also.map((one) => reasonText({ ...one, also: [] }))].join(' · ');
}

/** One grant with its revisions, and what may be done with it. */
export async function grantView(namespace, id, { run }) {
  const view = el('section', { className: 'card' });
  const [proof, form, body] = Array.from({ length: 3 }, () => el('div', {}));
  const rules = await rulesOf(namespace);

  async function show() {
    const grant = await call('GET', ['namespaces', namespace, 'grants', id]);
    const state = grant.quarantined ? say('quarantined') : grant.voided ? say('voided') : say('counts');
    const kinds = grant.quarantined ? ['approve', 'void'] : grant.voided ? ['restore'] : ['void', 'edit'];
    const facts = Object.entries(grant).filter(([name, value]) => ['source', 'source_id', 'action', 'category', 'session_id', 'meta'].includes(name) && value !== null);
    body.replaceChildren(
      el('h2', {}, el('bdi', {}, id), ' ', el('b', { className: 'chip' }, state)),
      el('p', {}, `${say('amount')} `, el('b', {}, number(grant.amount)), ' · ', time(grant.granted_at), ' · ', link(grant.user_id ?? '—', 'moderate', namespace, 'user', grant.user_id)),
      facts.length ? el('p', { className: 'soft' }, el('bdi', {}, facts.map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`).join(' · '))) : '',
      el('div', { className: 'buttons' }, kinds.map((kind) => button(say(`acts.${kind}`), () => correct(kind, [grant])))),
      table(say('revisions'), [say('revision'), say('verb'), say('amount'), say('recorded'), say('actor'), say('reason')], grant.revisions.map((one) => [
        one.revision, say(`verbs.${one.verb}`) || one.verb, number(one.amount), time(one.recorded_at), one.actor, one.reason])));
  }

  function correct(kind, chosen, options = {}) {
    proof.replaceChildren();
    const close = () => form.replaceChildren();
    const done = async (shown) => { close(); proof.replaceChildren(shown); await show(); };
    const undo = (one) => { const back = reverseOf(one); correct(back.kind, back.grants, back.options); };
    form.replaceChildren(correctionForm(kind, namespace, rules, chosen, { run, done, cancel: close, undo, ...options }));
  }

  view.append(body, proof, form);
  await show();
  return view;
}

// Where a moderator begins: the board, what stands out, who is hidden, and a search.
import { call } from './api.js';
import { button, el, field, line, link, number, select, table, time } from './dom.js';
import { hiddenUsers, namesOf, rulesOf, scan, topOf } from './ledger.js';
import { grantView, playerView, reasonText } from './player.js';
import { suspectsOf, usualOf } from './suspects.js';
import { say } from './text.js';

const TOP = 20;

/** The place's view. address: namespace, kind (`user` or `grant`), id, and an act that is to be taken back. */
export async function moderate(main, { go, run, names, address: [namespace = names[0]?.name ?? '', kind = '', id = '', act = ''] }) {
  const listed = names.some(({ name }) => name === namespace) || !namespace ? names : [{ name: namespace }, ...names];
  const space = select(listed.map(({ name, display_name: title }) => [title ? `${title} (${name})` : name, name]), namespace, { name: 'namespace', onchange: () => go('moderate', space.value) });
  const user = el('input', { name: 'user', type: 'search', value: kind === 'user' ? id : '', autocomplete: 'off' });
  const grant = el('input', { name: 'grant', value: kind === 'grant' ? id : '', autocomplete: 'off' });
  const results = el('div', { role: 'status' });
  const form = line(() => {
    if (grant.value.trim()) go('moderate', space.value, 'grant', grant.value.trim());
    else run(async () => results.replaceChildren(await search(space.value, user.value.trim())));
  }, field(say('namespace'), space), field(say('user'), user, say('userHint')), field(say('grant'), grant), el('button', { type: 'submit', className: 'first' }, say('find')));
  form.role = 'search';
  user.oninput = () => { grant.value = ''; };
  grant.oninput = () => { user.value = ''; };
  // Where somebody is looked at, the search makes room.
  main.append(kind && id ? el('details', {}, el('summary', {}, say('findAnother')), form) : form, results);
  if (!namespace) return main.append(el('p', {}, say('noNamespace')));
  if (kind === 'user' && id) return main.append(await playerView(namespace, id, { run, act }));
  if (kind === 'grant' && id) return main.append(await grantView(namespace, id, { run }));
  return overview(main, namespace, run);
}

async function search(name, text) {
  if (!text) return el('p', {}, say('userHint'));
  const { users } = text.length < 2 ? { users: [] } : await call('GET', ['namespaces', name, 'users'], { query: { q: text, limit: 50 } });
  // Hidden users are in no search. Their id finds them.
  const byId = users.some(({ user_id: one }) => one === text) ? [] : [{ user_id: text, isId: true }];
  return el('ul', { className: 'choices' }, [...users, ...byId].map(({ user_id: one, display_name: title, isId }) =>
    el('li', {}, link(title ? `${title} · ${one}` : isId ? say('byId', { id: one }) : one, 'moderate', name, 'user', one))));
}

async function overview(main, namespace, run) {
  const [suspects, board, waiting, hidden] = ['suspects', 'board', 'waiting', 'hidden'].map((name) => el('section', { className: `card ${name}` }));
  main.append(waiting, suspects, board, hidden);
  const rules = await rulesOf(namespace);
  const top = await topOf(namespace, 'all', null, TOP);
  board.append(table(say('boardNow', { n: top.length }), [say('rank'), say('user'), say('score')], top.map((entry) => [
    number(entry.rank), playerLink(namespace, entry.user_id, entry.display_name), number(entry.score)])));
  await Promise.all([
    section(waiting, () => showWaiting(waiting, namespace)),
    section(suspects, () => showSuspects(suspects, namespace, rules, run)),
    section(hidden, () => showHidden(hidden, namespace)),
  ]);
}

/** A part that the key may not see says so, and the others are shown. */
async function section(part, show) {
  try {
    await show();
  } catch (problem) {
    if (problem.code !== 'forbidden') throw problem;
    part.replaceChildren(el('p', { className: 'soft' }, say('notWithThisKey', { why: problem.detail })));
  }
}

async function showWaiting(part, namespace) {
  const { grants } = await call('GET', ['namespaces', namespace, 'grants'], { query: { state: 'quarantined', limit: 100 } });
  part.hidden = !grants.length;
  part.replaceChildren(link(say('waiting', { n: grants.length }), 'quarantine', namespace));
}

async function showSuspects(part, namespace, rules, run) {
  part.replaceChildren(el('h2', {}, say('standsOut')), el('p', { className: 'soft' }, say('working')));
  const { grants, isWhole, days } = await scan(namespace);
  const suspects = suspectsOf(grants, usualOf(grants, rules));
  const titles = await namesOf(namespace, suspects.map(({ user }) => user));
  part.replaceChildren(
    el('h2', {}, say('standsOut')),
    suspects.length
      ? el('ol', { className: 'suspect-list' }, suspects.map(({ user, reasons }) => el('li', {},
        playerLink(namespace, user, titles.get(user)?.name),
        el('span', {}, reasons.map((reason) => el('span', { className: 'reason-text' }, reasonText(reason)))))))
      : el('p', {}, say('nothingOdd')),
    el('p', { className: 'soft' }, say('scanned', { n: grants.length, days: number(days) }), ' ', isWhole ? '' : say('scanCut')),
    button(say('lookAgain'), () => run(async () => { await scan(namespace, { isNew: true }); await showSuspects(part, namespace, rules, run); })));
}

async function showHidden(part, namespace) {
  const users = [...await hiddenUsers(namespace)].sort(([, a], [, b]) => (a < b ? 1 : -1));
  part.hidden = !users.length;
  part.replaceChildren(table(say('hiddenUsers'), [say('user'), say('since')], users.map(([user, at]) => [playerLink(namespace, user), time(at)])));
}

export function playerLink(namespace, user, title) {
  return user ? link(title ? `${title} · ${user}` : user, 'moderate', namespace, 'user', user) : '—';
}

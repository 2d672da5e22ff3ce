// Find a user or a grant, see why a score is what it is, and correct it.
import { call } from './api.js';
import { correctionForm } from './correction.js';
import { button, el, field, number, table, time } from './dom.js';
import { TEXT as t } from './text_en.js';

const PAGE = 200;

/** The place's view. go: opens another address; run: shows work and problems. address: namespace, kind, id. */
export async function moderate(main, { go, run, names, address: [namespace = '', kind = '', id = ''] }) {
  const space = el('input', { name: 'namespace', required: true, value: namespace || names[0] || '', autocomplete: 'off' });
  space.setAttribute('list', 'names');
  const user = el('input', { name: 'user', value: kind === 'user' ? id : '', placeholder: t.userHint, autocomplete: 'off' });
  const grant = el('input', { name: 'grant', value: kind === 'grant' ? id : '', autocomplete: 'off' });
  const results = el('div', {});
  main.append(el('form', {
    className: 'find', role: 'search', autocomplete: 'off',
    onsubmit: (event) => {
      event.preventDefault();
      if (grant.value) go('moderate', space.value, 'grant', grant.value);
      else run(async () => results.replaceChildren(await search(space.value, user.value.trim())));
    },
  },
  el('datalist', { id: 'names' }, names.map((name) => el('option', { value: name }))),
  field(t.namespace, space), field(t.user, user), field(t.grant, grant), el('button', { type: 'submit', className: 'first' }, t.find)), results);

  async function search(name, text) {
    if (text.length < 2) return exact(name, text);
    const { users } = await call('GET', ['namespaces', name, 'users'], { query: { q: text, limit: 50 } });
    // Hidden users are in no search. Their id finds them.
    return el('ul', { className: 'found' }, [...users, ...(users.some(({ user_id }) => user_id === text) ? [] : [{ user_id: text }])].map(({ user_id, display_name }) =>
      el('li', {}, button(display_name ? `${display_name} · ${user_id}` : user_id, () => go('moderate', name, 'user', user_id)))));
  }

  async function exact(name, text) {
    if (text) go('moderate', name, 'user', text);
    else {
      const { entries } = await call('GET', ['namespaces', name, 'boards', 'all'], { query: { limit: 20 } });
      return el('ul', { className: 'found' }, entries.map((entry) => el('li', {},
        button(`${entry.rank}. ${entry.display_name ?? entry.user_id} · ${number(entry.score)}`, () => go('moderate', name, 'user', entry.user_id)))));
    }
    return '';
  }

  if (kind === 'user') main.append(await userView(namespace, id, { go, run }));
  if (kind === 'grant') main.append(await grantView(namespace, id, { go, run }));
}

/** What one user has: where they stand, and the grants that make the score of a board. */
async function userView(namespace, user, { go, run }) {
  const path = ['namespaces', namespace, 'users', user];
  const view = el('section', { className: 'card' });
  const proof = el('div', {});
  const form = el('div', {});
  const reasons = el('div', {});
  const head = el('div', {});
  const window = el('select', { name: 'window', onchange: () => run(explain) });

  async function stand() {
    const standing = await call('GET', path);
    const rows = Object.entries(standing.ranks ?? {}).map(([name, rank]) => [t.periods[name] ?? name, number(rank?.score), number(rank?.rank), number(rank?.gap_to_next)]);
    const flip = standing.hidden ? 'unhide' : 'hide';
    head.replaceChildren(
      el('h2', {}, el('bdi', {}, standing.profile?.display_name ?? user), ' ', el('small', {}, el('bdi', {}, user)), standing.hidden ? el('b', { className: 'chip' }, t.hidden) : ''),
      el('p', {}, `${t.score} `, el('b', {}, number(standing.score)), ` · ${t.grantsCount} ${number(standing.grants)}`),
      table(t.ranks, [t.board, t.score, t.rank, t.gap], rows),
      button(t[flip], () => run(async () => { await call('POST', [...path, flip]); await stand(); })));
    const names = Object.keys(standing.ranks ?? {});
    const periods = names.length ? names : ['all'];
    if (!window.options.length) window.append(...periods.map((name) => new Option(t.periods[name] ?? name, name)));
  }

  async function explain() {
    const grants = [];
    let cursor;
    let answer;
    const body = el('div', {});
    const more = button(t.more, () => run(next));
    async function next() {
      answer = await call('GET', [...path, 'explain'], { query: { window: window.value, limit: PAGE, ...(cursor ? { cursor } : {}) } });
      grants.push(...answer.grants);
      cursor = answer.next_cursor;
      more.hidden = !cursor;
      body.replaceChildren(list());
    }
    function list() {
      // The newest stands first: a row's sum is that of the row and of all below it.
      let sum = 0;
      const sums = grants.toReversed().map((grant) => (sum = Math.round((sum + grant.amount) * 1e6) / 1e6)).reverse();
      return table(`${t.explain}: ${number(answer.score)}`, [t.at, t.amount, t.sum, t.source, t.category, t.grant, ''], grants.map((grant, i) => [
        time(grant.granted_at), number(grant.amount), number(sums[i]), [grant.source, grant.source_id].filter(Boolean).join(' ') || '—', grant.category,
        button(grant.grant_id, () => go('moderate', namespace, 'grant', grant.grant_id), { className: 'link' }),
        el('span', { className: 'buttons' }, ['void', 'edit'].map((kind) => button(t[kind], () => correct(kind, grant), { 'aria-label': `${t[kind]} ${grant.grant_id}` }))),
      ]));
    }
    await next();
    const lag = answer.lag_seq ? `${t.lag}: ${number(answer.lag_seq)}. ` : '';
    reasons.replaceChildren(body, more, el('p', { className: 'soft' }, lag, t.partOf));
  }

  function correct(kind, grant) {
    proof.replaceChildren();
    const done = async (shown) => { form.replaceChildren(); proof.replaceChildren(shown); await stand(); await explain(); };
    form.replaceChildren(correctionForm(kind, namespace, grant, { run, done, cancel: () => form.replaceChildren() }));
    form.scrollIntoView({ block: 'nearest' });
  }

  view.append(head, proof, form, field(t.window, window), reasons);
  await stand();
  await explain();
  return view;
}

/** One grant with its revisions, and what may be done with it. */
async function grantView(namespace, id, { go, run }) {
  const view = el('section', { className: 'card' });
  const proof = el('div', {});
  const form = el('div', {});
  const body = el('div', {});

  async function show() {
    const grant = await call('GET', ['namespaces', namespace, 'grants', id]);
    const state = grant.quarantined ? t.quarantined : grant.voided ? t.voided : t.counts;
    const kinds = grant.quarantined ? ['restore', 'void'] : grant.voided ? ['restore'] : ['void', 'edit'];
    body.replaceChildren(
      el('h2', {}, el('bdi', {}, id), ' ', el('b', { className: 'chip' }, state)),
      el('p', {}, `${t.amount} `, el('b', {}, number(grant.amount)), ` · ${t.revision} ${grant.revision} · `,
        button(grant.user_id, () => go('moderate', namespace, 'user', grant.user_id), { className: 'link' })),
      el('div', { className: 'buttons' }, kinds.map((kind) => button(t[kind], () => correct(kind, grant)))),
      table(t.revisions, [t.revision, t.verb, t.amount, t.recorded, t.actor, t.reason], grant.revisions.map((one) => [
        one.revision, one.verb, number(one.amount), time(one.recorded_at), one.actor, one.reason])));
  }

  function correct(kind, grant) {
    proof.replaceChildren();
    const done = async (shown) => { form.replaceChildren(); proof.replaceChildren(shown); await show(); };
    form.replaceChildren(correctionForm(kind, namespace, grant, { run, done, cancel: () => form.replaceChildren() }));
  }

  view.append(body, proof, form);
  await show();
  return view;
}

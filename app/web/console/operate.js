// Namespaces and their rules, keys, and how the server is.
import { call, page } from './api.js';
import { button, el, field, number, table, time } from './dom.js';
import { TEXT as t } from './text_en.js';

/** What the server itself adds to the rules. */
const NOT_RULES = new Set(['name', 'resets', 'move']);
/** Rules that stay as they are once a namespace holds grants. A season stays once a grant may lie in it. */
const LOCKED = new Set([
  'scale', 'aggregation', 'order', 'tie_break', 'periods', 'timezone', 'group', 'week_starts', 'day_starts', 'category_boards', 'streaks',
]);

/** The list, and the rules of one. */
export async function namespaces(main, { go, run, address: [name = ''] }) {
  const listed = (await call('GET', ['namespaces'], { query: { prefix: '' } })).namespaces;
  const made = el('input', { name: 'name', required: true, pattern: '[A-Za-z0-9._\\-]{1,64}' });
  main.append(el('form', {
    className: 'find', autocomplete: 'off',
    onsubmit: (event) => {
      event.preventDefault();
      run(async () => { await call('PUT', ['namespaces', made.value], { body: {} }); go('namespaces', made.value); });
    },
  }, field(t.create, made), el('button', { type: 'submit' }, t.create)),
  table(t.places.namespaces, [t.namespace, t.name, t.visibility, t.mode], listed.map((one) => [
    button(one.name, () => go('namespaces', one.name), { className: 'link' }), one.display_name, one.visibility, one.mode])));
  if (!name) return;
  const answer = await call('GET', ['namespaces', name]);
  const rules = Object.fromEntries(Object.entries(answer).filter(([key]) => !NOT_RULES.has(key)));
  const text = el('textarea', { rows: 18, spellcheck: false, name: 'rules', value: JSON.stringify(rules, null, 2) });
  const why = el('p', { className: 'bad', role: 'alert' });
  main.append(el('form', {
    className: 'card', autocomplete: 'off',
    onsubmit: (event) => {
      event.preventDefault();
      why.textContent = '';
      run(async () => {
        try {
          await call('PUT', ['namespaces', name], { body: JSON.parse(text.value) });
        } catch (problem) {
          if (problem.code === 'rule_locked') why.textContent = `${t.locked} ${problem.detail}`;
          throw problem;
        }
      });
    },
  }, el('h2', {}, el('bdi', {}, name)), table(t.rules, [t.rule, t.value, t.state], Object.entries(rules).map(([rule, value]) => [
    rule, JSON.stringify(value), LOCKED.has(rule) ? t.lockable : t.partly[rule] ?? t.free])),
  el('p', { className: 'soft' }, t.rulesHint), field(t.rules, text), why,
  el('button', { type: 'submit', className: 'first' }, t.save)));
}

/** API keys: made, rotated, revoked. */
export async function keys(main, { run }) {
  const list = el('div', {});
  const fresh = el('div', { role: 'status' });
  const [name, scopes] = [el('input', { name: 'name' }), el('input', { name: 'scopes', required: true, placeholder: 'read:* write:f1-*' })];
  const tell = (answer) => fresh.replaceChildren(el('p', { className: 'good' }, `${t.once} `, el('code', {}, answer.key)));

  async function show(cursor) {
    const answer = await call('GET', ['keys'], { query: { limit: 100, ...(cursor ? { cursor } : {}) } });
    if (!cursor) list.replaceChildren();
    list.append(table(t.places.keys, [t.id, t.name, t.may, t.made, t.state, ''], answer.keys.map((key) => [
      key.id, key.name, key.scopes.join(' '), time(key.created_at), key.revoked_at ? t.revoked : key.is_own ? t.own : t.valid, acts(key)])));
    if (answer.next_cursor) {
      const more = button(t.more, () => run(async () => { more.remove(); await show(answer.next_cursor); }));
      list.append(more);
    }
  }

  function acts(key) {
    if (key.revoked_at || key.is_own) return '—';
    const grace = el('input', { type: 'number', min: 0, max: 86_400, value: '600', 'aria-label': `${t.grace} ${key.id}` });
    const rotate = async () => { tell(await call('POST', ['keys', key.id, 'rotate'], { body: { grace_s: Number(grace.value) } })); await show(); };
    const sure = button(t.revoke, () => {
      if (sure.textContent === t.revoke) sure.textContent = t.revokeSure;
      else run(async () => { await call('DELETE', ['keys', key.id]); await show(); });
    }, { className: 'danger' });
    return el('span', { className: 'buttons' }, grace, button(t.rotate, () => run(rotate)), sure);
  }

  main.append(el('form', {
    className: 'find', autocomplete: 'off',
    onsubmit: (event) => {
      event.preventDefault();
      const body = { scopes: scopes.value.trim().split(/\s+/), ...(name.value ? { name: name.value } : {}) };
      run(async () => { tell(await call('POST', ['keys'], { body })); await show(); });
    },
  }, field(t.name, name), field(t.scopes, scopes), el('button', { type: 'submit', className: 'first' }, t.createKey)), fresh, list);
  await show();
}

const REFRESH_MS = 2_000;

/** What /readyz and /metrics say, again every two seconds while it is shown. */
export async function health(main, { isShown }) {
  const view = el('div', { className: 'card' });
  main.append(view);
  let isLast = false;
  async function look() {
    const [ready, metrics] = await Promise.all([page('/readyz').then(JSON.parse), page('/metrics')]);
    const sum = (name) => metrics.split('\n').filter((line) => line.startsWith(name) && ' {'.includes(line[name.length]))
      .reduce((all, line) => all + Number(line.slice(line.lastIndexOf(' '))), 0);
    const lines = (name, text) => (text?.length ? [el('h3', {}, name), el('ul', {}, [text].flat().map((line) => el('li', {}, String(line))))] : []);
    const isReady = ready.status === 'ready';
    view.replaceChildren(
      el('h2', { className: isReady ? 'good' : 'bad' }, isReady ? `✓ ${t.ready}` : `! ${t.unready}`),
      table(t.places.health, [t.what, t.state], [
        [t.lag, number(ready.lag_seq)], [t.drift, number(sum('leaderboard_drifting_namespaces'))],
        [t.refused, number(refusedOf(metrics))], [t.sockets, number(sum('leaderboard_live_connections'))],
      ]),
      ...lines(t.degraded, ready.degraded), ...lines(t.capacity, ready.capacity));
  }
  async function again() {
    if (!isShown()) isLast = true;
    if (isLast) return;
    await look().catch((problem) => view.replaceChildren(el('p', { className: 'bad' }, String(problem.message))));
    setTimeout(again, REFRESH_MS);
  }
  await again();
}

/** Grants that were refused since the server started. */
function refusedOf(metrics) {
  return metrics.split('\n').filter((line) => line.startsWith('leaderboard_grants_total{') && line.includes('rejected'))
    .reduce((all, line) => all + Number(line.slice(line.lastIndexOf(' '))), 0);
}

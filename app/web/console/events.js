// The audit stream: the newest first, and new ones as they come.
import { call } from './api.js';
import { button, el, field, line, link, number, select, table, time } from './dom.js';
import { playerLink } from './moderate.js';
import { chooser } from './quarantine.js';
import { say, words } from './text.js';

const PAGE = 500;
/** Pages that are read over to reach the newest: the API lists events from the oldest. */
const PAGES_MAX = 40;
/** Events that are shown; older ones go. */
const ROWS_MAX = 300;
const REFRESH_MS = 3_000;
/** What a row shows in columns of its own. */
const COLUMNS = new Set(['at', 'type', 'actor', 'user_id', 'grant_id', 'seq', 'epoch', 'audit_id', 'reason', 'amount', 'previous_amount']);

export async function events(main, { go, run, names, isShown, address: [namespace = names[0]?.name ?? '', type = '', actor = ''] }) {
  const kind = select([[say('anyType'), ''], ...EVENT_TYPES.map((name) => [say(`eventTypes.${name}`), name])], type, { name: 'type' });
  const by = el('input', { name: 'actor', value: actor, dir: 'ltr' });
  const follow = el('input', { type: 'checkbox', checked: true, name: 'follow' });
  const [list, note] = [el('div', {}), el('p', { className: 'soft' })];
  const warning = el('p', { className: 'bad', role: 'status' });
  const rows = [];
  let [after, passed] = [undefined, 0];
  let isDeleted = false;

  /** Reads on from where it was. Answers whether a page was full, so that there may be more. */
  async function next(isQuiet) {
    const query = { limit: PAGE, ...(type ? { type } : {}), ...(actor ? { actor } : {}), ...(after ? { after } : {}) };
    const answer = await call('GET', ['namespaces', namespace, 'events'], { query, isQuiet });
    if (after && answer.events.some(({ type: one }) => one === 'namespace_deleted')) isDeleted = true;
    const isMoved = answer.next_after !== after;
    after = answer.next_after ?? after;
    rows.unshift(...answer.events.toReversed());
    passed += Math.max(0, rows.length - ROWS_MAX);
    rows.length = Math.min(rows.length, ROWS_MAX);
    return { isFull: answer.events.length === PAGE || (isMoved && !answer.events.length), isNew: answer.events.length > 0 };
  }

  /** Whether the name belongs to another namespace by now: a cursor goes on with the deleted one, and begins with its number. */
  async function isMadeAnew() {
    const { next_after: first } = await call('GET', ['namespaces', namespace, 'events'], { query: { limit: 1 }, isQuiet: true });
    return first.split('.')[0] !== after.split('.')[0];
  }

  function draw() {
    list.replaceChildren(rows.length ? table(say('places.events'), [say('recorded'), say('type'), say('user'), say('grant'), say('amount'), say('reason'), say('actor'), say('what')], rows.map(eventRow)) : el('p', {}, say('none')));
    note.textContent = [say('newest', { n: ROWS_MAX }), passed ? say('skipped', { n: passed }) : '', say('lookedAt', { time: words.time(new Date()) })].filter(Boolean).join(' ');
  }

  function eventRow({ at, type: name, actor: who, user_id: user, grant_id: grant, reason, amount, previous_amount: previous, ...rest }) {
    const details = Object.entries(rest).filter(([column, value]) => value !== null && !COLUMNS.has(column)).map(([column, value]) => `${column} ${typeof value === 'object' ? JSON.stringify(value) : value}`);
    return [
      time(at), say(`eventTypes.${name}`) || name, playerLink(namespace, user), grant ? link(grant, 'moderate', namespace, 'grant', grant) : '—',
      amount === undefined ? '—' : previous === undefined ? number(amount) : `${number(previous)} → ${number(amount)}`, reason, who,
      details.length ? el('details', {}, el('summary', {}, say('what')), el('bdi', {}, details.join(', '))) : '—',
    ];
  }

  async function again() {
    if (!isShown()) return;
    if (follow.checked && !document.hidden) {
      try {
        if (isDeleted && await isMadeAnew()) {
          [after, passed, rows.length, isDeleted] = [undefined, 0, 0, false];
          warning.textContent = say('anew');
        }
        const { isNew } = await next(true);
        if (warning.textContent !== say('anew')) warning.textContent = '';
        // What somebody has opened or focused stays as it is until there is something new.
        if (isNew) draw();
        else note.textContent = note.textContent && [say('newest', { n: ROWS_MAX }), say('lookedAt', { time: words.time(new Date()) })].join(' ');
      } catch (problem) {
        warning.textContent = problem.code === 'unreachable' ? say('unreachable') : String(problem.detail ?? problem.message);
      }
    }
    setTimeout(again, REFRESH_MS);
  }

  main.append(line(() => go('events', namespace, kind.value, by.value.trim()),
    chooser('events', namespace, names, go), field(say('type'), kind), field(say('actor'), by), el('button', { type: 'submit', className: 'first' }, say('find'))),
  el('label', { className: 'flag' }, follow, say('follow')), warning, note, list,
  button(say('lookAgain'), () => run(async () => { await next(); draw(); })));
  if (!namespace) return;
  for (let pages = 0; pages < PAGES_MAX && isShown(); pages++) if (!(await next()).isFull) break;
  draw();
  setTimeout(again, REFRESH_MS);
}

/** Those that people look for stand first. */
const EVENT_TYPES = [
  'voided', 'restored', 'edited', 'quarantined', 'user_hidden', 'user_unhidden', 'granted', 'namespace_changed', 'namespace_created', 'namespace_deleted',
  'user_erased', 'user_registered', 'batch_applied', 'window_sealed', 'season_opened', 'duplicated', 'healed', 'loss_recorded', 'replayed', 'lost',
  'drift_began', 'drift_ended', 'import_began', 'import_ended', 'compared', 'cut_over', 'cut_back',
];

// The page: choose a board; the element <leader-board> follows it. What comes from the server is only ever set as text.
import '/clients/leader-board.js';
import { loadWords } from '/clients/words.js';
import { BoardList } from './board_list.js';
import { periodOf } from './calendar.js';
import { Drawer } from './drawer.js';
import { Search } from './search.js';
import { Share } from './share.js';
import { Replay } from './replay.js';
import { Statistics } from './statistics.js';
import { Switch, isOver } from './switch.js';

const $ = (id) => document.getElementById(id);
const USUAL = ['all', 'month', 'week', 'day'];
/** How far back the arrows beside the ranks look. */
const DAYS = '24h 1h 10m';
const COMPARED = { all: DAYS, year: `7d ${DAYS}`, quarter: `7d ${DAYS}`, month: DAYS, week: DAYS, day: '1h 10m', hour: '10m', season: DAYS };
const LIMITS = [10, 25, 50, 100];

const element = $('leader-board');
const list = new BoardList({ onList, onRefusal: refuse, onAbsence });
const drawer = new Drawer($('drawer'), { onAround: (around) => pick({ around }) });
const share = new Share($('share'));
const search = new Search($, (around) => pick({ around }));
const windowSwitch = new Switch($, pick);
new Replay($('replay'), $('replay-open'));
new Statistics($('statistics'), $('statistics-open')); // It follows `page-choice`.
let words = null;
let chosen = null; // {namespace, window, limit, around, category}
let isRefused = false; // The key, by the list.
let token = '';
try { token = sessionStorage.getItem('key') ?? ''; } catch { /* Storage is forbidden here. */ }

// ---- The choice: it is in the address, so that it can be sent to others, and the way back works.

function read() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  let parts = [];
  try { parts = path.split('/').map(decodeURIComponent); } catch { /* Not an address of ours. */ }
  const [name = '', window = '', limit, around = ''] = parts;
  const listed = list.boards.find((namespace) => namespace.name === name);
  // A namespace that is not listed may exist: private, or made a moment ago. The server knows.
  const unlisted = /^[A-Za-z0-9._-]{1,64}$/.test(name) ? { name, periods: USUAL } : undefined;
  return {
    namespace: listed ?? unlisted ?? list.boards[0],
    window: /^[A-Za-z0-9:._-]{1,80}$/.test(window) ? window : 'all',
    limit: LIMITS.includes(Number(limit)) ? Number(limit) : LIMITS[0],
    around, // A user: their neighbours in place of the top.
    category: new URLSearchParams(query).get('category')?.slice(0, 64) ?? '',
  };
}

function link({ namespace, window, limit, around, category }) {
  const rest = around ? `/${limit}/${encodeURIComponent(around)}` : limit === LIMITS[0] ? '' : `/${limit}`;
  return `#/${namespace.name}/${window}${rest}${category && `?category=${encodeURIComponent(category)}`}`;
}

function pick(change) {
  if (chosen?.namespace) location.hash = link({ ...chosen, ...change });
}

function onList() {
  if (isRefused) return;
  if (element.getAttribute('namespace')) offer();
  else follow();
}

// Puts the choice into the controls. A control that has not changed stays untouched: somebody may be using it.
function offer() {
  chosen = read();
  const { namespace, window, limit } = chosen;
  if (!namespace) return;
  const boards = list.boards.some(({ name }) => name === namespace.name) ? list.boards : [namespace, ...list.boards];
  const closed = ` · ${words.say('page.isPrivate')}`;
  const options = boards.map((board) => [label(board) + (board.visibility === 'private' ? closed : ''), board.name]);
  fill($('namespace'), options, () => options.map((option) => new Option(...option)));
  const period = periodOf(window);
  const isUsual = period === 'season' || namespace.periods.includes(period);
  const windows = isUsual ? namespace.periods : [...namespace.periods, window];
  fill($('windows'), windows, () => [$('windows').firstElementChild, ...windows.map(segment)]);
  for (const input of $('windows').querySelectorAll('input')) input.checked = input.value === window || input.value === period;
  $('namespace').value = namespace.name;
  $('limit').value = limit;
  $('title').textContent = $('title').title = label(namespace);
  document.title = `${label(namespace)} · ${words.window(window)}`;
  windowSwitch.choose({ ...chosen, token, words });
  search.choose({ ...chosen, token, words });
  element.rules = namespace;
}

function label(namespace) {
  return namespace.display_name || namespace.name;
}

function fill(control, content, make) {
  const key = JSON.stringify(content);
  if (control.dataset.content !== key) control.replaceChildren(...make());
  control.dataset.content = key;
}

function segment(window) {
  const [box, input, text] = ['label', 'input', 'span'].map((tag) => document.createElement(tag));
  Object.assign(input, { type: 'radio', name: 'window', value: window, onchange: () => pick({ window }), onclick: () => pick({ window }) });
  text.textContent = box.title = words.window(window);
  text.dir = 'auto';
  box.append(input, text);
  return box;
}

function follow() {
  offer();
  const { namespace, window, limit, around, category } = chosen;
  $('meta').textContent = '';
  if (!namespace) return;
  history.replaceState(null, '', link(chosen));
  const isPast = isOver(window, namespace);
  const compare = isPast ? '' : COMPARED[periodOf(window)] ?? '';
  const radius = Math.min(25, (limit - 1) >> 1); // As many rows as the top has.
  element.toggleAttribute('frozen', isPast); // It is read once.
  for (const [name, value] of Object.entries({ namespace: namespace.name, window, limit, around, radius, category, compare })) {
    element.setAttribute(name, value);
  }
  $('top').hidden = !around;
  announce();
}

// What else is on the page follows the choice by `page-choice`, and changes it by `page-pick`, with what is to be different.
function announce() {
  if (!chosen?.namespace) return;
  document.dispatchEvent(new CustomEvent('page-choice', { detail: { ...chosen, token, words, element } }));
}

// ---- The text above the board, and what may be done about its state.

function tell({ name, code }) {
  if (isRefused) [name, code] = ['stopped', 'close_4001'];
  const isKeyWrong = code === 'close_4001';
  const [title, reason] = $('state').children;
  $('state').dataset.state = name;
  title.textContent = words.say(name === 'frozen' ? 'when.over' : `states.${name}`);
  reason.textContent = reason.title = ['live', 'idle', 'frozen'].includes(name) ? '' : words.problem(code);
  $('key-open').textContent = words.say(`page.${!token ? 'useKey' : isKeyWrong ? 'wrongKey' : 'keyInUse'}`);
  const mayTry = name === 'stopped' && !isKeyWrong && code !== 'close_4003';
  offerAct(name, code, mayTry);
}

function offerAct(name, code, mayTry) {
  const wantsKey = name === 'idle' || (name === 'stopped' && !mayTry) || code === 'unauthorized' || code === 'forbidden';
  $('act').hidden = !wantsKey && !mayTry;
  $('act').textContent = words.say(mayTry ? 'page.tryAgain' : name === 'idle' ? 'page.useKey' : 'page.enterKey');
  $('act').onclick = mayTry ? () => element.retry() : openKey;
}

function onAbsence() {
  if (element.state.name === 'idle') tell({ name: 'reconnecting', code: 'unreachable' });
}

function refuse() {
  isRefused = true;
  tell({ name: 'stopped', code: 'close_4001' });
}

element.addEventListener('leaderboard-state', ({ detail }) => words && tell(detail));
element.addEventListener('leaderboard-draw', ({ detail: { board } }) => {
  $('meta').textContent = `${words.say('players', { n: board.total })} · ${words.span(board, chosen.namespace)}`;
  windowSwitch.draw(board);
});

element.addEventListener('leaderboard-open', ({ detail: { entry } }) => {
  drawer.open(entry, { ...chosen, token, words });
});

// ---- The key: in this tab only, never in the address.

function openKey() {
  $('key').value = token;
  $('key-forget').hidden = !token;
  $('key-dialog').showModal();
}

function useKey(key) {
  token = key;
  isRefused = false;
  try { sessionStorage.setItem('key', key); } catch { /* Memory will do. */ }
  $('key-dialog').close();
  $('meta').textContent = '';
  element.token = key;
  announce();
  tell({ name: 'connecting', code: '' });
  list.begin(key);
}

async function begin() {
  words = await loadWords([new URLSearchParams(location.search).get('lang') ?? '', ...navigator.languages]);
  Object.assign(document.documentElement, { lang: words.locale, dir: words.direction });
  const say = (path) => words.say(path.includes('.') ? path : `page.${path}`);
  for (const part of document.querySelectorAll('[data-text]')) part.textContent = say(part.dataset.text);
  for (const part of document.querySelectorAll('[data-label]')) part.ariaLabel = say(part.dataset.label);
  for (const part of document.querySelectorAll('[data-hint]')) part.placeholder = say(part.dataset.hint);
  $('limit').replaceChildren(...LIMITS.map((n) => new Option(words.say('page.top', { n }), n)));
  useKey(token);
}

document.addEventListener('page-pick', ({ detail }) => pick(detail));
$('namespace').onchange = () => pick({ namespace: { name: $('namespace').value }, around: '', category: '', ...(periodOf(chosen.window) === 'season' && { window: 'all' }) });
$('namespace').onfocus = () => list.refresh();
$('top').onclick = () => pick({ around: '' });
$('limit').onchange = () => pick({ limit: Number($('limit').value) });
$('choice').onsubmit = (event) => event.preventDefault();
$('share-open').onclick = () => share.open(words, { isPrivate: chosen?.namespace?.visibility === 'private' });
$('key-open').onclick = openKey;
$('key-form').onsubmit = (event) => { event.preventDefault(); useKey($('key').value.trim()); };
$('key-forget').onclick = () => useKey('');
addEventListener('hashchange', () => words && (list.boards.length || chosen?.namespace) && follow());
begin();

// The page: choose a board, follow it. Whatever comes from the server is only ever set as text.
import { Live } from './live.js';

const $ = (id) => document.getElementById(id);
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const whole = new Intl.NumberFormat();
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const PERIODS = { all: 'All time', month: 'Month', week: 'Week', day: 'Day' };
const STATES = {
  connecting: 'Connecting', live: 'Live', stale: 'Not up to date', reconnecting: 'Reconnecting', stopped: 'Stopped', idle: 'Waiting',
};
const LIMITS = [10, 25, 50, 100];
const LIST_MS = 60_000;
const EMPTY_LIST_MS = 5_000;

const rows = new Map(); // user id → {element, score, position, telling}
let spaces = [];
let chosen = null; // {space, window, limit}
let live = null;
let shown = ''; // the window whose rows are on the page
let frame = 0;
let listing = 0;
let misses = 0;
let token = recall();

// ---- The key: in this tab only.

function recall() {
  try { return sessionStorage.getItem('key') ?? ''; } catch { return ''; }
}

function useKey(key) {
  token = key;
  try { sessionStorage.setItem('key', key); } catch { /* Storage is forbidden here: memory will do. */ }
  $('key-open').textContent = key ? 'Key in use' : 'Use a key';
  $('key-dialog').close();
  live?.close();
  live = null;
  spaces = [];
  clear();
  list();
}

// ---- The list of boards.

async function list() {
  clearTimeout(listing);
  const asked = token;
  const [status, body] = await fetch('/v1/namespaces?prefix=', {
    headers: asked ? { authorization: `Bearer ${asked}` } : {}, cache: 'no-store', signal: AbortSignal.timeout(10_000),
  }).then(async (answer) => [answer.status, await answer.json()]).catch(() => [0, null]);
  if (asked !== token) return; // Another key was entered meanwhile and has an answer of its own.
  if (status === 401 || status === 403) return refused('The key was not accepted');
  if (status === 200) {
    misses = 0;
    spaces = body.namespaces;
  } else if (!live) {
    state('reconnecting', 'The server does not answer');
    note('The server does not answer', 'Trying again by itself.');
  }
  const wait = status === 200 ? (spaces.length ? LIST_MS : EMPTY_LIST_MS) : Math.min(15_000, 1_000 * 2 ** misses++);
  listing = setTimeout(list, wait * (0.75 + Math.random() / 2));
  if (status === 200) live ? offer() : follow();
}

function refused(why) {
  live?.close();
  live = null;
  state('stopped', why);
  note(why, 'Enter another one, or forget it to see the public boards.', 'Change key', openKey);
}

// ---- The choice: it lives in the address, so that it can be shared and gone back to.

function read() {
  let parts = [];
  try { parts = location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent); } catch { /* Garbled. */ }
  const [name = '', window = '', limit] = parts;
  const listed = spaces.find((space) => space.name === name);
  // One that is not listed may still be there: private, or made a moment ago. The server knows.
  const unlisted = /^[A-Za-z0-9._-]{1,64}$/.test(name) ? { name, periods: Object.keys(PERIODS) } : undefined;
  return {
    space: listed ?? unlisted ?? spaces[0],
    window: /^[A-Za-z0-9:._-]{1,80}$/.test(window) ? window : 'all',
    limit: LIMITS.includes(Number(limit)) ? Number(limit) : LIMITS[0],
  };
}

function link({ space, window, limit }) {
  return `#/${space.name}/${window}${limit === LIMITS[0] ? '' : `/${limit}`}`;
}

function pick(change) {
  if (chosen?.space) location.hash = link({ ...chosen, ...change });
}

function label(space) {
  return space.display_name || space.name;
}

// Puts the choice into the controls. What is as it was stays untouched: somebody may be using it.
function offer() {
  chosen = read();
  const { space, window, limit } = chosen;
  if (!space) return;
  const boards = spaces.some(({ name }) => name === space.name) ? spaces : [space, ...spaces];
  const told = (board) => label(board) + (board.visibility === 'private' ? ' · private' : '');
  fill($('namespace'), boards.map((board) => [board.name, told(board)]), () => boards.map((board) => new Option(told(board), board.name)));
  const windows = space.periods.includes(window) ? space.periods : [...space.periods, window];
  fill($('windows'), windows, () => [$('windows').firstElementChild, ...windows.map(segment)]);
  $('namespace').value = space.name;
  $('limit').value = limit;
  for (const input of $('windows').querySelectorAll('input')) input.checked = input.value === window;
  $('title').textContent = $('title').title = label(space);
  document.title = `${label(space)} · ${PERIODS[window] ?? window}`;
}

function fill(element, content, make) {
  const key = JSON.stringify(content);
  if (element.dataset.content === key) return;
  element.replaceChildren(...make());
  element.dataset.content = key;
}

function segment(window) {
  const [box, input, text] = ['label', 'input', 'span'].map((tag) => document.createElement(tag));
  Object.assign(input, { type: 'radio', name: 'window', value: window, onchange: () => pick({ window }) });
  text.textContent = PERIODS[window] ?? window;
  box.append(input, text);
  return box;
}

function follow() {
  offer();
  if (!chosen.space) {
    state('idle', '');
    return note('No public board yet', 'One appears here as soon as there is one. A key opens the private ones.', 'Use a key', openKey);
  }
  history.replaceState(null, '', link(chosen));
  clear();
  const board = { namespace: chosen.space.name, window: chosen.window, limit: chosen.limit };
  if (live) return live.follow(board);
  const url = `${location.origin.replace(/^http/, 'ws')}/v1/live`;
  live = new Live({ url, board, token, onState: state, onBoard: () => { frame ||= requestAnimationFrame(draw); } });
  return undefined;
}

// ---- What is told.

function state(name, why) {
  const [title, reason] = $('state').children;
  $('state').dataset.state = document.body.dataset.state = name;
  // Set only what changed: this is read aloud.
  if (title.textContent !== STATES[name]) title.textContent = STATES[name];
  if (reason.textContent !== why) reason.textContent = why;
  if (name !== 'stopped') return;
  clear();
  if (/key/.test(why)) note(why, 'Enter one that opens it.', 'Enter a key', openKey);
  else note(why, 'Nothing is tried again by itself.', 'Try again', follow);
}

function note(title = '', hint = '', action = '', act = null) {
  const [heading, text, button] = $('note').children;
  [heading.textContent, text.textContent, button.textContent] = [title, hint, action];
  button.onclick = act;
  button.hidden = !action;
  $('note').hidden = !title;
  $('board').hidden = Boolean(title);
}

function clear() {
  rows.clear();
  $('rows').replaceChildren();
  for (const id of ['meta', 'version', 'updated']) $(id).textContent = '';
  shown = '';
  note();
}

// ---- The board: drawn at most once a frame of the screen, however many changes came.

function draw() {
  frame = 0;
  const info = live?.info;
  if (!info) return; // A whole state is under way; the last one stays.
  if (shown !== info.window) clear();
  const entries = live.rows();
  const before = places();
  const present = new Set(entries.map((entry) => entry.user_id));
  for (const [user, row] of rows) if (!present.has(user)) { row.element.remove(); rows.delete(user); }
  const most = Math.max(...entries.map((entry) => entry.score));
  const digits = chosen.space.scale;
  const scores = new Intl.NumberFormat(undefined, { minimumFractionDigits: digits ?? 0, maximumFractionDigits: digits ?? 6 });
  entries.forEach((entry, place) => {
    const row = rows.get(entry.user_id) ?? create(entry);
    update(row, entry, scores);
    row.element.style.setProperty('--share', most > 0 ? Math.max(0, entry.score / most) : 0);
    const there = $('rows').children[place];
    if (there !== row.element) $('rows').insertBefore(row.element, there ?? null);
  });
  if (!calm.matches) move(before, shown !== '');
  shown = info.window;
  $('meta').textContent = `${whole.format(info.total)} ${info.total === 1 ? 'player' : 'players'} · ${span(info)}`;
  $('version').textContent = `Version ${info.version}`;
  $('updated').textContent = `Updated ${clock.format(info.at)}`;
  if (entries.length) note();
  else note('No scores yet', 'The first one appears here by itself.');
}

function span({ window, starts, ends }) {
  if (!starts) return PERIODS.all;
  try {
    const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeZone: chosen.space.timezone ?? 'UTC' });
    return day.formatRange(new Date(starts), new Date(Date.parse(ends) - 1));
  } catch {
    return window; // A time zone that this browser does not know.
  }
}

function create(entry) {
  const element = $('row').content.firstElementChild.cloneNode(true);
  const face = element.querySelector('.face');
  const hue = [...entry.user_id].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  face.style.setProperty('--hue', hue);
  const row = { element, score: entry.score, cell: (name) => element.querySelector(name) };
  rows.set(entry.user_id, row);
  return row;
}

function update(row, entry, scores) {
  const name = entry.display_name || entry.user_id;
  row.element.dataset.rank = row.cell('.rank span').textContent = entry.rank;
  row.cell('.score').textContent = scores.format(entry.score);
  if (row.name !== name || row.avatar !== entry.avatar) {
    Object.assign(row, { name, avatar: entry.avatar });
    row.cell('.name').textContent = name;
    row.cell('.player').title = name === entry.user_id ? name : `${name} (${entry.user_id})`;
    row.cell('.face').replaceChildren(portrait(name, entry.avatar));
  }
  const gain = entry.score - row.score;
  row.score = entry.score;
  if (gain) tell(row, scores.format(Math.abs(gain)), gain > 0);
}

// Another site's picture learns nothing of this page; where it does not load, the initial stands.
function portrait(name, avatar) {
  const initial = document.createTextNode(/[\p{L}\p{N}\p{Extended_Pictographic}]/u.exec(name)?.[0].toUpperCase() ?? '·');
  if (!/^https:\/\//.test(avatar ?? '')) return initial;
  const image = Object.assign(new Image(), { alt: '', loading: 'lazy', referrerPolicy: 'no-referrer', src: avatar });
  image.onerror = () => image.replaceWith(initial);
  return image;
}

function tell(row, amount, up) {
  const chip = row.cell('.gain');
  chip.textContent = (up ? '+' : '−') + amount;
  chip.dataset.good = up === (chosen.space.order !== 'asc');
  row.telling?.cancel();
  row.telling = chip.animate([{ opacity: 1 }, { opacity: 1, offset: 0.7 }, { opacity: 0 }], 2_000);
  row.telling.onfinish = () => { chip.textContent = ''; };
  row.element.animate([{ backgroundColor: 'var(--flash)' }, {}], { duration: 1_200, easing: 'ease-out' });
}

// Where each row is seen now, in the middle of a move too.
function places() {
  const top = $('rows').getBoundingClientRect().top;
  return new Map([...rows].map(([user, { element }]) => [user, element.getBoundingClientRect().top - top]));
}

// FLIP: every row stands where it belongs already; it is shown coming from where it was seen.
function move(before, moving) {
  const top = $('rows').offsetTop;
  for (const [user, row] of rows) {
    const [from, to] = [before.get(user), row.element.offsetTop - top];
    if (from === undefined) row.element.animate([{ opacity: 0 }, {}], moving ? 400 : 200);
    else if (to !== row.place) { // Else it stands, or is on its way there already.
      const by = from - to;
      row.moving?.cancel();
      const zIndex = by > 0 ? 1 : 0; // Who rises passes in front.
      const way = [{ transform: `translateY(${by}px)`, zIndex }, { transform: 'none', zIndex }];
      row.moving = row.element.animate(way, { duration: 450, easing: 'cubic-bezier(.2, .8, .2, 1)' });
    }
    row.place = to;
  }
}

// ---- The controls.

function openKey() {
  $('key').value = token;
  $('key-forget').hidden = !token;
  $('key-dialog').showModal();
}

$('namespace').onchange = () => pick({ space: spaces.find(({ name }) => name === $('namespace').value) ?? chosen.space, window: chosen.window });
$('limit').onchange = () => pick({ limit: Number($('limit').value) });
$('choice').onsubmit = (event) => event.preventDefault();
$('key-open').onclick = openKey;
$('key-form').onsubmit = (event) => { event.preventDefault(); useKey($('key').value.trim()); };
$('key-forget').onclick = () => useKey('');
addEventListener('hashchange', follow);
addEventListener('online', () => live?.nudge());
document.addEventListener('visibilitychange', () => document.hidden || live?.nudge());
if (token) $('key-open').textContent = 'Key in use';
list();

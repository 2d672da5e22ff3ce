// The page: choose a board, follow it. What comes from the server is only ever set as text.
import { Board } from './board.js';
import { Live } from './live.js';

const $ = (id) => document.getElementById(id);
const PERIODS = {
  all: 'All time', year: 'Year', quarter: 'Quarter', month: 'Month', week: 'Week', day: 'Day', hour: 'Hour',
};
const USUAL = ['all', 'month', 'week', 'day'];
const STATES = {
  connecting: 'Connecting', live: 'Live', stale: 'Not up to date', reconnecting: 'Reconnecting', stopped: 'Stopped', idle: 'Waiting',
};
const LIMITS = [10, 25, 50, 100];
const LIST_MS = 60_000;
const EMPTY_LIST_MS = 5_000;

const board = new Board($('rows'), $('row'));
const count = new Intl.NumberFormat();
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
let namespaces = [];
let chosen = null; // {namespace, window, limit}
let live = null;
let drawn = ''; // the window whose rows are on the page
let frame = 0;
let listing = 0;
let misses = 0;
let token = '';
try { token = sessionStorage.getItem('key') ?? ''; } catch { /* Storage is forbidden here. */ }

// ---- The list of boards.

async function list() {
  clearTimeout(listing);
  const bearer = token;
  if (!/^[\x21-\x7e]*$/.test(bearer)) return refused();
  const [status, body] = await fetch('/v1/namespaces?prefix=', {
    headers: bearer ? { authorization: `Bearer ${bearer}` } : {}, cache: 'no-store', signal: AbortSignal.timeout(10_000),
  }).then(async (answer) => [answer.status, await answer.json()]).catch(() => [0, null]);
  if (bearer !== token) return undefined; // Another key was entered meanwhile and has an answer of its own.
  if (status === 401 || status === 403) return refused();
  if (status === 200) {
    namespaces = body.namespaces;
    misses = 0;
    if (live) offer();
    else follow();
  } else if (!live) {
    state('reconnecting', 'The server does not answer');
    note('The server does not answer', 'Trying again by itself.');
  }
  const again = namespaces.length ? LIST_MS : EMPTY_LIST_MS;
  const wait = status === 200 ? again : Math.min(again, 1_000 * 2 ** misses++);
  listing = setTimeout(list, wait * (0.75 + Math.random() / 2));
  return undefined;
}

function refused() {
  hang();
  state('stopped', 'The key was not accepted');
}

function hang() {
  live?.close();
  live = null;
}

// ---- The choice: it is in the address, so that it can be sent to others, and the way back works.

function read() {
  let parts = [];
  try { parts = location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent); } catch { /* Not an address of ours. */ }
  const [name = '', window = '', limit] = parts;
  const listed = namespaces.find((namespace) => namespace.name === name);
  // A namespace that is not listed may exist: private, or made a moment ago. The server knows.
  const unlisted = /^[A-Za-z0-9._-]{1,64}$/.test(name) ? { name, periods: USUAL } : undefined;
  return {
    namespace: listed ?? unlisted ?? namespaces[0],
    window: /^[A-Za-z0-9:._-]{1,80}$/.test(window) ? window : 'all',
    limit: LIMITS.includes(Number(limit)) ? Number(limit) : LIMITS[0],
  };
}

function link({ namespace, window, limit }) {
  return `#/${namespace.name}/${window}${limit === LIMITS[0] ? '' : `/${limit}`}`;
}

function pick(change) {
  if (chosen?.namespace) location.hash = link({ ...chosen, ...change });
}

// Puts the choice into the controls. A control that has not changed stays untouched: somebody may be using it.
function offer() {
  chosen = read();
  const { namespace, window, limit } = chosen;
  if (!namespace) return;
  const boards = namespaces.some(({ name }) => name === namespace.name) ? namespaces : [namespace, ...namespaces];
  const options = boards.map((board) => [label(board) + (board.visibility === 'private' ? ' · private' : ''), board.name]);
  fill($('namespace'), options, () => options.map((option) => new Option(...option)));
  const windows = namespace.periods.includes(window) ? namespace.periods : [...namespace.periods, window];
  fill($('windows'), windows, () => [$('windows').firstElementChild, ...windows.map(segment)]);
  for (const input of $('windows').querySelectorAll('input')) input.checked = input.value === window;
  $('namespace').value = namespace.name;
  $('limit').value = limit;
  $('title').textContent = $('title').title = label(namespace);
  document.title = `${label(namespace)} · ${PERIODS[window] ?? window}`;
}

function label(namespace) {
  return namespace.display_name || namespace.name;
}

function fill(element, content, make) {
  const key = JSON.stringify(content);
  if (element.dataset.content !== key) element.replaceChildren(...make());
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
  const { namespace, window, limit } = chosen;
  if (!namespace) {
    state('idle', '');
    return note('No public board yet', 'One appears here as soon as there is one.', 'Use a key', openKey);
  }
  history.replaceState(null, '', link(chosen));
  clear();
  const view = { namespace: namespace.name, window, limit };
  if (live) return live.follow(view);
  const url = `${location.origin.replace(/^http/, 'ws')}/v1/live`;
  live = new Live({ url, board: view, token, onState: state, onBoard: () => { frame ||= requestAnimationFrame(draw); } });
  return undefined;
}

// ---- The text above and below the board.

function state(name, why) {
  const [title, reason] = $('state').children;
  $('state').dataset.state = document.body.dataset.state = name;
  // Only what changed is set: screen readers read it aloud.
  if (title.textContent !== STATES[name]) title.textContent = STATES[name];
  if (reason.textContent !== why) reason.textContent = why;
  if (name !== 'stopped') return;
  clear();
  if (/key/.test(why)) note(why, 'Without a key the public boards are open.', 'Enter a key', openKey);
  else note(why, 'Choose another board, or try again.', 'Try again', follow);
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
  board.clear();
  for (const id of ['meta', 'version', 'updated']) $(id).textContent = '';
  drawn = '';
  note();
}

// Draws at most once a frame of the screen, however many changes came.
function draw() {
  frame = 0;
  const info = live?.info;
  if (!info) return; // A whole state is on its way; the last one stays.
  if (drawn !== info.window) clear();
  drawn = info.window;
  const entries = live.rows();
  note(...(entries.length ? [] : ['No scores yet', 'The first one appears here by itself.']));
  board.draw(entries, chosen.namespace);
  $('meta').textContent = `${count.format(info.total)} ${info.total === 1 ? 'player' : 'players'} · ${span(info)}`;
  $('version').textContent = `Version ${info.version}`;
  $('updated').textContent = `Updated ${clock.format(info.at)}`;
}

function span({ window, starts, ends }) {
  if (!starts) return PERIODS.all;
  try {
    const [first, last] = [new Date(starts), new Date(Date.parse(ends) - 1)];
    // Hours, and days that begin after midnight, have the time, too.
    const timed = last - first < 20 * 3_600_000 || (chosen.namespace.day_starts ?? '00:00') !== '00:00';
    const how = { dateStyle: 'medium', timeZone: chosen.namespace.timezone ?? 'UTC', ...(timed && { timeStyle: 'short' }) };
    return new Intl.DateTimeFormat(undefined, how).formatRange(first, last);
  } catch {
    return window; // A time zone that this browser does not know.
  }
}

// ---- The key: in this tab only, never in the address.

function openKey() {
  $('key').value = token;
  $('key-forget').hidden = !token;
  $('key-dialog').showModal();
}

function useKey(key) {
  token = key;
  try { sessionStorage.setItem('key', key); } catch { /* Memory will do. */ }
  $('key-open').textContent = key ? 'Key in use' : 'Use a key';
  $('key-dialog').close();
  hang();
  namespaces = [];
  clear();
  list();
}

$('namespace').onchange = () => pick({ namespace: { name: $('namespace').value } });
$('limit').onchange = () => pick({ limit: Number($('limit').value) });
$('choice').onsubmit = (event) => event.preventDefault();
$('key-open').onclick = openKey;
$('key-form').onsubmit = (event) => { event.preventDefault(); useKey($('key').value.trim()); };
$('key-forget').onclick = () => useKey('');
addEventListener('hashchange', () => (namespaces.length || live ? follow() : undefined));
addEventListener('online', () => live?.nudge());
document.addEventListener('visibilitychange', () => document.hidden || live?.nudge());
useKey(token);

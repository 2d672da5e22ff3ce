// The page: choose a board, follow it. Text from the server is only ever set as text.
import { Live } from './live.js';

const $ = (id) => document.getElementById(id);
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const scores = new Intl.NumberFormat('en', { maximumFractionDigits: 6 });
const rows = new Map();
let live = null;
let spaces = [];
let pending = null;

$('key').value = sessionStorage.getItem('key') ?? '';

async function load() {
  const token = $('key').value.trim();
  try {
    const answer = await fetch('/v1/namespaces', { headers: token ? { authorization: `Bearer ${token}` } : {} });
    const body = await answer.json();
    if (!answer.ok) return note(body.detail);
    spaces = body.namespaces;
  } catch {
    setTimeout(load, 1000);
    return note('The server does not answer.');
  }
  $('namespace').replaceChildren(...spaces.map((space) => new Option(space.display_name ?? space.name, space.name)));
  follow();
  return undefined;
}

function chosen() {
  const [name, window] = location.hash.replace(/^#\//, '').split('/').map(decodeURIComponent);
  const space = spaces.find((held) => held.name === name) ?? spaces[0];
  return { space, window: space?.periods.includes(window) ? window : 'all', limit: Number($('limit').value) };
}

function follow() {
  live?.close();
  clear();
  const { space, window, limit } = chosen();
  if (!space) return note('There is no public board yet.');
  $('title').textContent = document.title = space.display_name ?? space.name;
  $('namespace').value = space.name;
  $('window').replaceChildren(...space.periods.map((period) => new Option(period, period)));
  $('window').value = window;
  const url = `${location.origin.replace(/^http/, 'ws')}/v1/live`;
  live = new Live({
    url,
    board: { namespace: space.name, window, limit },
    token: $('key').value.trim(),
    onState: state,
    onChange: (entries, info) => {
      // However many frames come, one drawing a frame of the screen.
      if (!pending) requestAnimationFrame(() => { draw(pending.entries, pending.info); pending = null; });
      pending = { entries, info };
    },
  });
  return undefined;
}

function state(name, why) {
  $('state').dataset.state = name;
  $('state').textContent = why || name;
  if (name === 'stopped') note(why);
}

function note(text) {
  $('note').textContent = text;
  $('note').hidden = !text;
}

function clear() {
  rows.clear();
  $('rows').replaceChildren();
  $('total').textContent = $('version').textContent = '';
  note('');
}

function draw(entries, info) {
  const before = new Map([...rows].map(([user, row]) => [user, row.element.getBoundingClientRect().top]));
  const present = new Set(entries.map((entry) => entry.user_id));
  for (const [user, row] of rows) if (!present.has(user)) { row.element.remove(); rows.delete(user); }
  entries.forEach((entry, place) => {
    const row = rows.get(entry.user_id) ?? create(entry);
    fill(row, entry);
    const there = $('rows').children[place];
    if (there !== row.element) $('rows').insertBefore(row.element, there ?? null);
  });
  if (!calm.matches) for (const [user, row] of rows) slide(row.element, before.get(user));
  $('total').textContent = `${scores.format(info.total)} players`;
  $('version').textContent = `${info.window} · version ${info.version}`;
  note(entries.length ? '' : 'No scores yet.');
}

function create(entry) {
  const element = document.createElement('tr');
  element.append(...[0, 1, 2].map(() => document.createElement('td')));
  const row = { element, score: entry.score };
  rows.set(entry.user_id, row);
  return row;
}

function fill(row, entry) {
  const [rank, name, score] = row.element.children;
  row.element.dataset.rank = entry.rank;
  rank.textContent = entry.rank;
  name.textContent = name.title = entry.display_name ?? entry.user_id;
  const gain = entry.score - row.score;
  if (!gain && score.childNodes.length) return;
  score.replaceChildren(scores.format(entry.score));
  if (gain) {
    const told = document.createElement('span');
    told.className = gain > 0 ? 'gain' : 'gain loss';
    told.textContent = `${gain > 0 ? '+' : ''}${scores.format(gain)}`;
    score.prepend(told);
  }
  row.score = entry.score;
}

function slide(element, from) {
  const distance = from === undefined ? 0 : from - element.getBoundingClientRect().top;
  const start = from === undefined ? { opacity: 0 } : { transform: `translateY(${distance}px)` };
  if (from === undefined || distance) element.animate([start, {}], { duration: 350, easing: 'ease-out' });
}

function choose() {
  location.hash = `#/${encodeURIComponent($('namespace').value)}/${encodeURIComponent($('window').value)}`;
}

$('namespace').onchange = $('window').onchange = choose;
$('limit').onchange = follow;
$('choice').onsubmit = (event) => event.preventDefault();
$('key').onchange = () => { sessionStorage.setItem('key', $('key').value.trim()); load(); };
addEventListener('hashchange', follow);
load();

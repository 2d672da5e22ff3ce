// The console: places by their address, one view each. Everything it does is a documented call, shown as curl.
import { call, hasKey, onCall, useKey } from './api.js';
import { el } from './dom.js';
import { moderate } from './moderate.js';
import { health, keys, namespaces } from './operate.js';
import { events, quarantine } from './queue.js';
import { TEXT as t } from './text_en.js';

const $ = (id) => document.getElementById(id);
const PLACES = { moderate, quarantine, namespaces, keys, events, health };
let turn = 0;

function addressOf(...parts) {
  return `#/${parts.map(encodeURIComponent).join('/')}`;
}

function go(...parts) {
  if (location.hash === addressOf(...parts)) show();
  else location.hash = addressOf(...parts);
}

function read() {
  try {
    const [place = '', ...address] = location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
    return { place: Object.hasOwn(PLACES, place) ? place : 'moderate', address: address.map((part) => part || undefined) };
  } catch {
    return { place: 'moderate', address: [] };
  }
}

function say(text, tone = '') {
  $('status').className = tone;
  $('status').textContent = text;
}

/** Does one thing; says that it works, and what went wrong. */
async function run(work) {
  say(t.working);
  $('main').setAttribute('aria-busy', 'true');
  try {
    await work();
    say(t.done);
  } catch (problem) {
    say(problem.field ? `${problem.message} (${problem.field})` : problem.message, 'bad');
  } finally {
    $('main').removeAttribute('aria-busy');
  }
}

function show() {
  const mine = ++turn;
  const { place, address } = read();
  for (const link of $('places').children) {
    if (link.dataset.place === place) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${t.places[place]} · ${t.brand}`;
  const main = el('div', {}, el('h1', {}, t.places[place]));
  $('main').replaceChildren(main);
  if (!hasKey() && place !== 'health') {
    say('');
    return main.append(el('p', {}, t.noKey), el('p', { className: 'soft' }, t.noKeyHint));
  }
  const isShown = () => mine === turn;
  return run(async () => {
    const names = place === 'health' || place === 'keys' ? [] : (await call('GET', ['namespaces'], { query: { prefix: '' } })).namespaces.map(({ name }) => name);
    if (isShown()) await PLACES[place](main, { go, run, names, address, isShown });
  });
}

for (const [id, text] of [['brand', t.brand], ['key-label', t.key], ['key-use', t.use], ['key-forget', t.forget], ['calls-title', t.calls]]) $(id).textContent = text;
$('key').placeholder = t.key;
$('places').append(...Object.keys(PLACES).map((place) => {
  const link = el('a', { href: addressOf(place) }, t.places[place]);
  link.dataset.place = place;
  return link;
}));
$('key-form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (!/^[\x21-\x7e]+$/.test($('key').value.trim())) return say(t.noKey, 'bad');
  useKey($('key').value);
  $('key').value = '';
  return show();
});
$('key-forget').addEventListener('click', () => { useKey(''); show(); });
onCall((calls) => $('calls-list').replaceChildren(...calls.map((line) => el('li', {}, el('code', {}, line)))));
addEventListener('hashchange', show);
show();

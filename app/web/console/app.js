// The console: places by their address, one view each. Everything it does is a documented call, shown as curl.
import { forgetActs, onAct } from './acts.js';
import { call, hasKey, onCall, useKey } from './api.js';
import { addressOf, el, link, time } from './dom.js';
import { events } from './events.js';
import { health } from './health.js';
import { keys } from './keys.js';
import { moderate } from './moderate.js';
import { namespaces } from './namespaces.js';
import { quarantine } from './quarantine.js';
import { say, words } from './text.js';

// The second click of a double click meets another button than its hand meant: one that revokes, or shows again.
document.addEventListener('click', (event) => {
  if (event.detail < 2 || !event.target.closest('button')) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

const $ = (id) => document.getElementById(id);
const PLACES = { moderate, quarantine, namespaces, keys, events, health };
const NO_NAMES = new Set(['health', 'keys', 'namespaces']);
/** A server that does not answer is asked again this often. */
const AGAIN_MS = 3_000;
let turn = 0;
let isWaiting = false;

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

function tell(text, tone = '') {
  $('status').className = tone;
  $('status').textContent = text;
}

/** Does one thing; says that it works, and what went wrong. Answers whether it went well. */
async function run(work) {
  tell(say('working'));
  $('main').setAttribute('aria-busy', 'true');
  try {
    await work();
    tell(say('ok'));
    return true;
  } catch (problem) {
    tell(explained(problem), 'bad');
    if (problem.code === 'unauthorized') askForKey();
    if (problem.code === 'unreachable') waitForServer();
    return false;
  } finally {
    $('main').removeAttribute('aria-busy');
  }
}

/** A problem for people: what it means here, and the server's own words. */
function explained(problem) {
  const why = problem.field ? `${problem.message} (${problem.field})` : problem.message;
  const texts = {
    unauthorized: 'keyRefused', forbidden: 'forbidden', unreachable: 'unreachable', namespace_not_found: 'isGone', revision_conflict: 'changedMeanwhile',
  };
  return Object.hasOwn(texts, problem.code) ? say(texts[problem.code], { why }) : why;
}

function askForKey() {
  $('key-form').hidden = false;
  $('key').focus();
}

/** Asks until the server is there again. A view that failed is then shown anew; what somebody filled in stays. */
function waitForServer() {
  if (isWaiting) return;
  isWaiting = true;
  const look = async () => {
    const isBack = await fetch('/healthz', { cache: 'no-store', signal: AbortSignal.timeout(AGAIN_MS) }).then(({ ok }) => ok, () => false);
    if (!isBack) return setTimeout(look, AGAIN_MS);
    isWaiting = false;
    if ($('main').querySelector('.correction')) return tell(say('serverBack'));
    return show();
  };
  setTimeout(look, AGAIN_MS);
}

function show() {
  const mine = ++turn;
  const { place, address } = read();
  for (const one of $('places').children) {
    if (one.dataset.place === place) one.setAttribute('aria-current', 'page');
    else one.removeAttribute('aria-current');
  }
  document.title = `${say(`places.${place}`)} · ${say('brand')}`;
  const main = el('div', {}, el('h1', {}, say(`places.${place}`)));
  $('main').replaceChildren(main);
  $('key-form').hidden = hasKey();
  $('key-forget').hidden = !hasKey();
  if (!hasKey() && place !== 'health') {
    tell('');
    main.append(el('p', {}, say('noKey')));
    return $('key').focus();
  }
  const isShown = () => mine === turn;
  return run(async () => {
    const names = NO_NAMES.has(place) ? [] : (await call('GET', ['namespaces'], { query: { prefix: '' } })).namespaces;
    if (isShown()) await PLACES[place](main, { go, run, tell, names, address, isShown });
  });
}

function showActs(acts) {
  $('acts').hidden = !acts.length;
  $('acts-list').replaceChildren(...acts.map((act) => el('li', {},
    time(act.at), ' ', say(`done.${act.kind}`, { n: act.grants?.length ?? 1, user: act.user }), ' ', act.reason ? el('bdi', {}, `“${act.reason}”`) : '', ' ',
    act.isUndone ? `· ${say('undone')}` : link(say('undo'), 'moderate', act.namespace, 'user', act.user, act.id))));
}

Object.assign(document.documentElement, { lang: words.locale, dir: words.direction });
for (const text of document.querySelectorAll('[data-text]')) text.textContent = say(text.dataset.text);
$('places').setAttribute('aria-label', say('brand'));
$('places').append(...Object.keys(PLACES).map((place) => el('a', { href: addressOf(place), 'data-place': place }, say(`places.${place}`))));
$('key-form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (!/^[\x21-\x7e]+$/.test($('key').value.trim())) return tell(say('badKey'), 'bad');
  useKey($('key').value);
  $('key').value = '';
  $('main').focus();
  return show();
});
$('key-forget').addEventListener('click', () => { useKey(''); forgetActs(); show(); });
onCall((calls) => $('calls-list').replaceChildren(...calls.map((text) => el('li', {}, el('code', {}, text)))));
onAct(showActs);
addEventListener('hashchange', show);
show();

// A board for a screen on a wall: nobody touches it, and nobody is there when something fails.
import '/clients/leader-board.js';
import { qrElement } from '/clients/qr.js';
import { loadWords } from '/clients/words.js';
import { readAddress } from './address.js';
import { keepAwake } from './awake.js';
import { begin as beginCeremony } from './ceremony.js';
import { duration, rest } from './countdown.js';
import { Rotation } from './rotation.js';

/** Rows of one column. */
const COLUMN_ROWS = 15;
/** A board of few rows does not get higher ones. */
const ROWS_LEAST = 5;
/** A column is at least so wide, in heights of the screen. */
const COLUMN_WIDTH = 0.42;
/** What has ended for good is tried again all the same: somebody may have mended it. */
const [RETRY_MS, RETRY_MS_MAX] = [10_000, 300_000];
/** Between two looks whether the server has a newer wall. */
const NEWER_MS = 3_600_000;

const $ = (id) => document.getElementById(id);
const elements = [...document.querySelectorAll('leader-board')];
const address = readAddress(location);
const rotation = new Rotation(elements, address, { onTurn });
const drawn = new Map(); // element → what it drew last
const tries = new Map(); // element → how often it was begun anew
let words = null;
let hasBegun = false;

function chosen() {
  return address.boards[rotation.index];
}

function onTurn() {
  setText($('title'), chosen().namespace);
  setText($('what'), '');
  setText($('count'), '');
  $('qr').hidden = true;
  for (const [i, dot] of [...$('dots').children].entries()) dot.toggleAttribute('data-on', i === rotation.index);
  show();
  tell();
}

/** What the shown board drew last. */
function show() {
  const { board, rules } = drawn.get(rotation.element) ?? {};
  if (!board || !rotation.element.board && rotation.element.state.name !== 'frozen') return;
  const { namespace, window, category } = chosen();
  setText($('title'), rules?.display_name || namespace);
  document.title = $('title').textContent;
  const span = board.starts ? words.span(board, rules ?? {}) : '';
  setText($('what'), [words.window(window), category, span].filter(Boolean).join(' · '));
  setText($('count'), words.say('players', { n: board.total }));
  if ($('qr').hidden) showQr();
  tick();
}

function tick() {
  const { board } = drawn.get(rotation.element) ?? {};
  const left = board && rest(board, chosen().window);
  $('clock').hidden = !left;
  if (!left) return;
  setText($('clock').children[0], left.isOver ? '' : words.say('wall.endsIn'));
  setText($('clock').querySelector('bdi'), left.isOver ? words.say('wall.final') : duration(left.left, words.locale));
}

/** Only what keeps somebody from trusting the board is said. */
function tell() {
  const { name, code } = rotation.element.state;
  const isDoubtful = name === 'stale' || name === 'reconnecting'; // Elsewhere there is no board, and its place says why.
  setText($('state'), isDoubtful ? `${words.say(`states.${name}`)} · ${words.problem(code)}` : '');
  notify(name === 'stopped' ? words.problem(code) : '', words.say('awayHint'));
}

function notify(title, hint) {
  $('notice').hidden = !title;
  setText($('notice').children[0], title);
  setText($('notice').children[1], hint);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// ---- As large as the screen.

function fit(element) {
  const entries = drawn.get(element)?.board.entries.length ?? 0;
  const rows = Math.max(entries, Math.min(ROWS_LEAST, address.rows));
  const most = Math.max(1, Math.floor(innerWidth / innerHeight / COLUMN_WIDTH));
  const columns = Math.min(Math.ceil(rows / COLUMN_ROWS), most);
  element.style.setProperty('--columns', columns);
  element.style.setProperty('--rows', Math.ceil(rows / columns));
}

function showQr() {
  const { namespace, window } = chosen();
  if (!address.hasQr || address.token) return; // Whoever has a phone has no token.
  const path = `/#/${encodeURIComponent(namespace)}/${encodeURIComponent(window)}`;
  const code = qrElement(location.origin + path, words.say('wall.scan'));
  $('qr').replaceChildren(...(code ? [code] : []));
  $('qr').hidden = !code;
}

// ---- For as long as the screen hangs there.

/** Longer waits, and not all screens at the same time. */
function retryLater(element) {
  const count = tries.get(element) ?? 0;
  tries.set(element, count + 1);
  const wait = Math.min(RETRY_MS * 2 ** Math.min(count, 10), RETRY_MS_MAX);
  setTimeout(() => element.state.name === 'stopped' && element.retry(), wait * (0.75 + Math.random() / 2));
}

async function versionOf() {
  const answer = await fetch('/web/wall/app.js', { method: 'HEAD', cache: 'no-store' }).catch(() => null);
  return answer?.ok ? answer.headers.get('etag') : null;
}

/** A newer server has a newer wall. */
async function followVersions() {
  const own = await versionOf();
  setInterval(async () => {
    const newest = await versionOf();
    if (own && newest && newest !== own) location.reload();
  }, NEWER_MS);
}

for (const element of elements) {
  element.addEventListener('leaderboard-draw', ({ detail }) => {
    drawn.set(element, detail);
    fit(element);
    if (element === rotation.element) show();
  });
  element.addEventListener('leaderboard-state', ({ detail: { name } }) => {
    if (name === 'live') tries.delete(element);
    if (name === 'absent' || name === 'stopped') drawn.delete(element);
    if (name === 'stopped') retryLater(element);
    if (hasBegun && element === rotation.element) {
      tell();
      tick();
    }
  });
}

async function begin() {
  words = await loadWords([address.language, ...navigator.languages]);
  Object.assign(document.documentElement, { lang: words.locale, dir: words.direction });
  if (address.token.startsWith('lb_')) return notify(words.say('wall.isApiKey'), words.say('wall.apiKeyHint'));
  if (!address.boards.length) return notify(words.say('wall.noBoard'), location.pathname);
  for (const element of elements) element.token = address.token;
  if (address.boards.length > 1) $('dots').append(...address.boards.map(() => document.createElement('i')));
  keepAwake();
  setInterval(tick, 1_000);
  addEventListener('resize', () => elements.forEach(fit));
  addEventListener('hashchange', () => location.reload());
  if (address.isCeremony) beginCeremony(elements[0], address.seconds);
  else followVersions();
  hasBegun = true;
  return rotation.begin(address.seconds);
}

begin();

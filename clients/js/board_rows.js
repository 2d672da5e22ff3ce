// The rows of a board: what changed is lit up, and rows move to their new positions. What comes from the server is only
// ever set as text.

const CALM = '(prefers-reduced-motion: reduce)';
/** Characters of a score that have their usual size; if one row has more, all rows are smaller. */
const SCORE_CHARS = 11;
/** How long a row is on its way: it arrives before the next drawing may send it elsewhere. */
export const MOVE_MS = 400;

export class BoardRows {
  #rows = new Map(); // user id → row
  #order = []; // User ids as they are drawn.
  #body;
  #onOpen;

  /** onOpen: called with the entry of a row that is chosen; none: rows are not to be chosen. */
  constructor(body, onOpen) {
    this.#body = body;
    this.#onOpen = onOpen;
  }

  clear() {
    this.#rows.clear();
    this.#order = [];
    this.#body.replaceChildren();
  }

  /**
   * entries: by position; rules: the namespace's, as far as they are known; marked: a user whose row stands out; changeOf:
   * how far an entry's user has moved, as RankChanges has it.
   */
  draw(entries, { scale, order }, words, { marked, isCompared = false, changeOf = () => undefined } = {}) {
    const users = entries.map((entry) => entry.user_id);
    const isSameOrder = this.#order.length === users.length && users.every((user, i) => user === this.#order[i]);
    const before = isSameOrder || matchMedia(CALM).matches ? null : this.#places();
    const present = new Set(users);
    for (const [user, row] of this.#rows) {
      if (present.has(user)) continue;
      row.element.remove();
      this.#rows.delete(user);
    }
    const partOf = shares(entries, order);
    let longest = 0;
    entries.forEach((entry, index) => {
      const row = this.#rows.get(entry.user_id) ?? this.#create(entry);
      const points = words.score(entry.score, scale);
      longest = Math.max(longest, points.length);
      const gain = update(row, entry, points, words);
      if (gain) showGain(row, words.score(Math.abs(gain), scale), gain > 0, order !== 'asc');
      setPart(row, partOf(entry.score));
      row.element.ariaCurrent = entry.user_id === marked ? 'true' : null;
      showChange(row.change, changeOf(entry), words);
      const there = this.#body.children[index];
      if (there !== row.element) this.#body.insertBefore(row.element, there ?? null);
    });
    this.#order = users;
    setData(this.#body, 'compared', isCompared);
    setData(this.#body, 'long', longest > SCORE_CHARS);
    if (before) this.#move(before);
  }

  /** Hides who has the first `count` rows. Returns the entry of a row that it shows again; of several, the last one. */
  conceal(count) {
    let shown;
    [...this.#body.children].forEach((element, i) => {
      const wasConcealed = element.hasAttribute('data-concealed');
      element.toggleAttribute('data-concealed', i < count);
      if (wasConcealed && i >= count) shown = element;
    });
    if (shown && !matchMedia(CALM).matches) shown.animate([{ opacity: 0, transform: 'scale(.94)' }, {}], { duration: 700, easing: 'ease-out' });
    return [...this.#rows.values()].find((row) => row.element === shown)?.entry;
  }

  #create({ user_id: user, score }) {
    const row = makeRow(this.#onOpen && (() => this.#onOpen(row.entry)));
    row.element.style.setProperty('--lb-hue', hueOf(user));
    row.score = score;
    this.#rows.set(user, row);
    return row;
  }

  /** Where each row is: by the layout, and on the screen, in the middle of a move, too. All are read at once: one layout. */
  #places() {
    const place = ({ element }) => {
      const { left, top, height } = element.getBoundingClientRect();
      return { x: element.offsetLeft, y: element.offsetTop, left, top, height };
    };
    return new Map([...this.#rows].map(([user, row]) => [user, place(row)]));
  }

  /** FLIP: every row is in its new place already, and is drawn as if it came from its old one. Rows out of sight do without. */
  #move(before) {
    const now = this.#places();
    const isSeen = ({ top, height }) => top < innerHeight && top + height > 0;
    const onTheWay = [];
    for (const [user, row] of this.#rows) {
      const [from, to] = [before.get(user), now.get(user)];
      if (!from) {
        if (isSeen(to)) row.element.animate([{ opacity: 0 }, {}], 300);
      } else if ((from.x !== to.x || from.y !== to.y) && (isSeen(from) || isSeen(to))) {
        hold(row, from.left - to.left, from.top - to.top);
        onTheWay.push(row);
      }
    }
    if (onTheWay.length) requestAnimationFrame(() => onTheWay.forEach(glide));
  }
}

/** Shows a row where it was. A frame later it glides: a browser counts what begins with an animation as a shift of the layout. */
function hold(row, x, y) {
  row.moving?.cancel();
  Object.assign(row.element.style, { transform: `translateX(${x}px) translateY(${y}px)`, zIndex: (x || y) > 0 ? 1 : '' }); // Who rises passes in front.
}

/** Transform alone, so that the browser's compositor moves the row without this page's main thread. */
function glide(row) {
  const { style } = row.element;
  const way = [{ transform: style.transform }, { transform: 'none' }];
  row.moving = row.element.animate(way, { duration: MOVE_MS, easing: 'cubic-bezier(.2, .8, .2, 1)' });
  row.moving.onfinish = () => { style.zIndex = ''; };
  style.transform = '';
}

/** The length of a row's bar, 0 to 1, by its score: the best one's is whole. None where a score may be below 0. */
function shares(entries, order) {
  const scores = entries.map((entry) => entry.score);
  const best = order === 'asc' ? Math.min(...scores) : Math.max(...scores);
  if (!(best > 0)) return () => 0;
  return order === 'asc' ? (score) => best / score : (score) => Math.max(0, score / best);
}

/** A hue of 360; ids that differ by one letter have hues far apart (FNV-1a, mixed as MurmurHash3 ends). */
function hueOf(user) {
  let hash = 0x811c9dc5;
  for (const letter of user) hash = Math.imul(hash ^ letter.codePointAt(0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % 360;
}

/** The roles say again what the elements are: laid out as a grid, some browsers forget it. */
function makeRow(onOpen) {
  const cell = (name, ...inside) => make('td', { className: name, role: 'cell' }, ...inside);
  const [place, face, name] = [make('span', { part: 'rank' }), make('span', { className: 'face', part: 'face' }), make('bdi', { className: 'name', part: 'name' })];
  const change = make('span', { className: 'change', part: 'change' });
  const [gain, score] = [make('span', { className: 'gain', part: 'gain' }), make('span', { className: 'score', part: 'score' })];
  for (const mark of [face, gain]) mark.ariaHidden = 'true';
  const button = onOpen && make('button', { className: 'open', part: 'open', type: 'button', onclick: onOpen, ariaHasPopup: 'dialog' }, name);
  const player = cell('player', change, face, button ?? name);
  // What lights up and what grows are layers of their own: a change of them paints nothing anew.
  const [bar, flash] = [make('span', { className: 'bar', part: 'bar' }), make('span', { className: 'flash' })];
  const element = make('tr', { part: 'row', role: 'row' }, cell('rank', flash, bar, place), player, cell('points', score, gain));
  return { element, place, change, face, name, gain, score: 0, points: score, player, bar, flash, part: 0 };
}

function make(tag, { part, ...properties }, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  if (part) element.part = part;
  element.append(...children);
  return element;
}

/** Writes an entry into its row. Returns by how much the score has changed since the last drawing. */
function update(row, entry, points, words) {
  const name = entry.display_name || entry.user_id;
  const rank = words.count(entry.rank);
  setText(row.place, rank);
  setData(row.element, 'rank', entry.rank);
  setText(row.points, points);
  if (row.shown !== name || row.avatar !== entry.avatar) {
    row.name.textContent = name;
    row.player.title = name === entry.user_id ? name : `${name} (${entry.user_id})`;
    row.face.replaceChildren(portrait(name, entry.avatar));
  }
  const gain = entry.score - row.score;
  Object.assign(row, { entry, shown: name, avatar: entry.avatar, score: entry.score });
  return gain;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setData(element, name, value) {
  if (element.dataset[name] !== String(value)) element.dataset[name] = value;
}

/** The bar's length, 0 to 1. One that would differ by less than the screen shows stays. */
function setPart(row, part) {
  const rounded = Number(part.toFixed(3));
  if (row.part === rounded) return;
  row.part = rounded;
  row.bar.style.transform = `scaleX(${rounded})`;
}

/** A picture of another site, which learns nothing of this page; the initial where it does not load. */
function portrait(name, avatar) {
  const initial = document.createTextNode(/[\p{L}\p{N}\p{Extended_Pictographic}]/u.exec(name)?.[0].toUpperCase() ?? '·');
  if (!/^(https:\/\/|data:image\/)/.test(avatar ?? '')) return initial;
  const image = Object.assign(new Image(), { alt: '', loading: 'lazy', referrerPolicy: 'no-referrer', src: avatar });
  image.onerror = () => image.replaceWith(initial);
  return image;
}

/** ▲2, ▼1 or new: the form says it without colours, and a text to those who hear it. */
function showChange(element, change, words) {
  const way = change === undefined || change.by === 0 ? '' : change.by === null ? 'new' : change.by > 0 ? 'up' : 'down';
  const n = Math.abs(change?.by ?? 0);
  setText(element, { '': '', new: words.say('change.new'), up: `▲${words.count(n)}`, down: `▼${words.count(n)}` }[way]);
  setData(element, 'way', way);
  const label = way && words.say(`change.${way}Since`, { n, time: words.moment(change.since) });
  if (element.title === label) return;
  element.title = label;
  element.role = way ? 'img' : null;
  element.ariaLabel = label || null;
}

function showGain(row, amount, isUp, isUpGood) {
  row.gain.textContent = (isUp ? '+' : '−') + amount;
  row.gain.dataset.good = isUp === isUpGood;
  row.chip?.cancel();
  row.chip = row.gain.animate([{ opacity: 1 }, { opacity: 1, offset: 0.7 }, { opacity: 0 }], 2_000);
  row.chip.onfinish = () => { row.gain.textContent = ''; };
  row.light?.cancel();
  row.light = row.flash.animate([{ opacity: 1 }, { opacity: 0 }], { duration: 1_200, easing: 'ease-out' });
}

// <leader-board>: a live board in a page. One script tag, no build step:
//   <script type="module" src="https://scores.example.com/clients/leader-board.js"></script>
//   <leader-board namespace="gp" window="week" limit="10"></leader-board>

import { Announcer } from './announcer.js';
import { BoardRows, MOVE_MS } from './board_rows.js';
import { stateOf } from './board_state.js';
import { MARKUP, STYLE } from './board_style.js';
import { Leaderboard } from './live.js';
import { PastBoard } from './past_board.js';
import { RankChanges, readDurations } from './rank_changes.js';
import { loadWords } from './words.js';

/** Rows of a view: as many as the server sends. */
const LIMIT_MAX = 100;
const RADIUS_MAX = 25;
/** A board is drawn at most so often: nobody reads faster, and no row is sent elsewhere while it is on its way. */
const DRAW_MS = MOVE_MS + 100;
const SHEET = new CSSStyleSheet();
SHEET.replaceSync(STYLE); // Not a <style>: policies that forbid inline styles allow it.

export class LeaderBoard extends HTMLElement {
  static observedAttributes = [
    'src', 'namespace', 'window', 'limit', 'around', 'radius', 'category', 'compare', 'token', 'lang', 'frozen', 'concealed', 'as-of',
  ];

  #root = this.attachShadow({ mode: 'open' });
  #rows = null;
  #words = null;
  #language = '';
  #rules = null;
  #rulesOf = ''; // The namespace whose rules were asked for.
  #token = '';
  #client = null;
  #live = null;
  #subscription = null;
  #past = null; // In place of the connection, with `as-of`.
  #followed = ''; // What is followed, and where.
  #frozen = ''; // The same of what is drawn and stays.
  #state = { name: 'idle', code: '' };
  #drawn = ''; // The board whose rows are on the page.
  #announcer = null;
  #changes = new RankChanges(() => this.#redraw());
  #frame = 0;
  #timer = 0;
  #drawnAt = -Infinity;
  #isDue = false;

  constructor() {
    super();
    this.#root.innerHTML = MARKUP;
    this.#root.adoptedStyleSheets = [SHEET];
    this.#announcer = new Announcer(this.#find('announcer'));
  }

  connectedCallback() {
    const onOpen = this.hasAttribute('openable') ? (entry) => this.#fire('leaderboard-open', { entry }) : undefined;
    this.#rows ??= new BoardRows(this.#find('rows'), onOpen);
    if (Object.hasOwn(this, 'token')) this.#takeToken();
    this.#plan();
  }

  /** A page may set the property before this script is there: then it lies on the element, and hides the one below. */
  #takeToken() {
    const { token } = this;
    delete this.token;
    this.token = token;
  }

  disconnectedCallback() {
    this.#hangUp();
  }

  attributeChangedCallback(name, before, value) {
    if (before === value) return;
    if (name === 'token') this.token = value; // Another one needs another connection.
    if (name === 'concealed') this.#reveal();
    else this.#plan();
  }

  /** A client token, or a function that gets one. Never an API key in a page of yours: everybody has what a page has. */
  set token(source) {
    if ((source ?? '') === this.#token) return;
    this.#token = source ?? '';
    this.#hangUp();
    this.#plan();
  }

  /** The namespace's rules (`scale`, `order`, `timezone` …), where the page has them; else the element asks for them. */
  set rules(rules) {
    this.#rules = rules;
    this.#rulesOf = rules?.name ?? '';
    this.#redraw();
  }

  /** The newest state of the board; null before the first, and while there is no such board. */
  get board() {
    return (this.#past ?? this.#subscription)?.board ?? null;
  }

  /** `{name, code}`: connecting, live, stale, reconnecting, absent, stopped, frozen, past or idle; and the code of the problem, or ''. */
  get state() {
    return this.#state;
  }

  /** Begins anew after it has stopped. */
  retry() {
    this.#hangUp();
    this.#plan();
  }

  // What to follow.

  /** Attributes are set one after the other: they are looked at once, when all are. */
  #plan() {
    if (this.#isDue || !this.isConnected) return;
    this.#isDue = true;
    queueMicrotask(async () => {
      await this.#speak();
      this.#isDue = false;
      if (this.isConnected) this.#follow();
    });
  }

  async #speak() {
    const language = this.lang || this.closest('[lang]')?.lang || navigator.language;
    if (language === this.#language) return;
    this.#language = language;
    // A page in English that is read in Britain: English, with its dates.
    const own = navigator.languages.filter((one) => one.startsWith(`${language}-`));
    const words = await loadWords([...own, language, ...navigator.languages]);
    if (language !== this.#language) return;
    this.#words = words;
    this.#find('box').dir = words.direction;
    [...this.#root.querySelectorAll('th')].forEach((cell, i) => { cell.textContent = words.say(['rank', 'player', 'score'][i]); });
    this.#redraw();
  }

  #follow() {
    const view = this.#view();
    const compare = readDurations(this.getAttribute('compare'));
    const followed = JSON.stringify([this.getAttribute('src'), view, compare]);
    if (view && this.getAttribute('as-of')) return this.#lookBack(view, followed);
    if (this.#past) this.#hangUp();
    if (this.hasAttribute('frozen') && this.#frozen === followed) return undefined; // What is drawn stays.
    this.#frozen = '';
    if (this.#live && followed === this.#followed) return;
    if (this.#live && JSON.parse(this.#followed)[0] !== this.getAttribute('src')) this.#hangUp();
    this.#followed = followed;
    this.#subscription?.unsubscribe();
    this.#subscription = null;
    this.#changes.end();
    this.#state = { name: '', code: '' };
    this.#reserve(view);
    this.#clear();
    if (!view) return this.#tell();
    this.#connect();
    this.#subscription = this.#live.subscribe({ ...view, onState: () => this.#tell() }, () => this.#schedule());
    this.#askRules(view.namespace);
    if (compare.length) this.#changes.begin((since) => this.#compare(view, since), compare);
    return this.#tell();
  }

  /** A board of the past. The rows of the same board stay, and move. It has no neighbours of a user: the top is shown. */
  #lookBack({ namespace, window, category, view }, followed) {
    if (!this.#past || this.#followed !== followed) {
      const isOther = followed !== (this.#frozen || this.#followed);
      this.#hangUp();
      [this.#followed, this.#frozen] = [followed, ''];
      if (isOther) this.#clear();
      const client = this.#client = this.#makeClient();
      const query = { limit: view.limit ?? 2 * view.radius + 1, ...(category && { category }) };
      const ask = (moment, signal) => client.board(namespace, window, { ...query, as_of: moment }, { retry: false, signal });
      const past = this.#past = new PastBoard(ask, () => past === this.#past && (this.#tell(), this.#schedule()));
      this.#askRules(namespace);
    }
    this.#past.seek(this.getAttribute('as-of'));
    this.#tell();
  }

  #view() {
    const [namespace, window, category, user] = ['namespace', 'window', 'category', 'around'].map((name) => this.getAttribute(name));
    if (!namespace) return null;
    const view = user
      ? { kind: 'around', user, radius: this.#number('radius', 5, RADIUS_MAX) }
      : { kind: 'top', limit: this.#number('limit', 10, LIMIT_MAX) };
    return { namespace, window: window || 'all', category: category || null, view };
  }

  #number(name, usual, most) {
    const number = Number.parseInt(this.getAttribute(name) ?? '', 10);
    return Number.isFinite(number) ? Math.min(Math.max(number, usual && 1), most) : usual;
  }

  #connect() {
    if (this.#live?.state === 'closed') this.#live = null;
    if (this.#live) return;
    this.#client = this.#makeClient();
    this.#live = this.#client.connect({
      onState: () => this.#tell(),
      // All else is shown, and passes or is final. What this file itself does wrong is told.
      onError: (problem) => problem.code === 'callback' && console.error(problem),
    });
  }

  #makeClient() {
    const src = this.getAttribute('src');
    return new Leaderboard({ token: this.#token, ...(src && { url: new URL(src, document.baseURI).href }) });
  }

  #hangUp() {
    this.#past = this.#past?.end() ?? null;
    const live = this.#live;
    this.#live = this.#client = this.#subscription = null;
    this.#followed = '';
    this.#changes.end();
    live?.close();
  }

  /** Without them, numbers have the digits they have. */
  async #askRules(name) {
    if (this.#rulesOf === name) return;
    [this.#rules, this.#rulesOf] = [null, name];
    const path = ['v1', 'namespaces'];
    const answer = await this.#client.request('GET', path, { query: { prefix: name } }).catch(() => null);
    if (this.#rulesOf !== name) return;
    if (!answer) this.#rulesOf = ''; // Asked again once the board is live again.
    if (!answer) return;
    this.#rules = answer.namespaces.find((one) => one.name === name) ?? null;
    this.#redraw();
  }

  /** The board with the change of each rank since a moment; null while it is not live. */
  async #compare({ namespace, window, category, view }, since) {
    if (this.#state.name !== 'live') return null;
    const part = view.kind === 'around' ? { around: view.user, radius: view.radius } : { limit: view.limit };
    return this.#client.board(namespace, window, { ...part, category, compare_to: since }, { retry: false });
  }

  // What is shown.

  #clear() {
    this.#rows.clear();
    this.#drawn = '';
    this.#drawnAt = -Infinity;
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#announcer.forget();
    this.#note('', '');
  }

  /** Until the board of a view is there, its place is as high as the last one's, and as its rows will be. What is below stays. */
  #reserve(view) {
    const { style, offsetHeight } = this.#root.querySelector('.card');
    const { limit, radius } = view?.view ?? {};
    const rows = limit ?? 2 * radius + 1;
    style.setProperty('--lb-least', view ? `max(${offsetHeight}px, min(100dvh, 2.6em + ${rows} * var(--lb-row)))` : '0px');
  }

  #redraw() {
    if (this.#drawn) this.#schedule();
    if (this.#words) this.#tell();
  }

  /** One drawing for all changes that come before it. The first one is at once. */
  #schedule() {
    if (this.#frame || this.#timer) return;
    const frame = () => { [this.#timer, this.#frame] = [0, requestAnimationFrame(() => this.#draw())]; };
    const wait = this.#drawnAt + DRAW_MS - performance.now();
    if (wait > 0) this.#timer = setTimeout(frame, wait);
    else frame();
  }

  #draw() {
    this.#frame = 0;
    this.#drawnAt = performance.now();
    const { board } = this;
    if (!board || !this.#words) return; // A whole state is on its way; the last one stays.
    if (this.#drawn !== board.window) this.#clear();
    this.#drawn = board.window;
    const rules = this.#rules ?? {};
    this.#find('board').ariaLabel = rules.display_name || this.getAttribute('namespace');
    if (board.entries.length) this.#note('', '');
    else this.#note(this.#words.say('emptyTitle'), this.#past ? '' : this.#words.say('emptyHint'));
    this.#changes.look(board);
    const [marked, isCompared] = [this.getAttribute('around'), !this.#past && readDurations(this.getAttribute('compare')).length > 0];
    this.#rows.draw(board.entries, rules, this.#words, { marked, isCompared, changeOf: (entry) => this.#changes.of(entry) });
    this.#rows.conceal(this.#number('concealed', 0, LIMIT_MAX));
    this.#root.querySelector('.foot span').textContent = this.#past ? this.#words.moment(board.as_of) : this.#words.say('updated', { time: this.#words.time(new Date()) });
    this.#announcer.tell(this.#past ? undefined : board.entries[0], rules.scale, this.#words);
    this.#fire('leaderboard-draw', { board, rules: this.#rules });
    if (this.hasAttribute('frozen') && !this.#past) this.#freeze();
  }

  /** No connection is needed any more. */
  #freeze() {
    this.#frozen = this.#followed;
    this.#hangUp();
    this.#tell();
  }

  /** Shows the rows below the first `concealed` ones. Says aloud who that is, if it is one more. */
  #reveal() {
    const shown = this.#rows?.conceal(this.#number('concealed', 0, LIMIT_MAX));
    if (!shown) return;
    const [rank, score] = [this.#words.count(shown.rank), this.#words.score(shown.score, this.#rules?.scale)];
    this.#find('announcer').textContent = this.#words.say('revealed', { rank, score, name: shown.display_name || shown.user_id });
  }

  #tell() {
    const words = this.#words;
    if (!words || !this.isConnected) return;
    const state = this.#past?.state ?? (this.#frozen ? { name: 'frozen', code: '' } : stateOf(this.#live, this.#subscription, this.#state));
    const { name, code } = state;
    const isNews = name !== this.#state.name || code !== this.#state.code;
    this.#state = state;
    this.dataset.state = name;
    this.#root.querySelector('.foot b').textContent = words.say(`states.${name}`);
    const why = words.problem(code);
    if (name === 'stopped' || name === 'absent') {
      this.#clear();
      this.#note(why, words.say(name === 'absent' ? 'absentHint' : code.startsWith('close_400') ? 'keyHint' : 'stoppedHint'));
    } else if (name === 'idle') {
      this.#note(words.say('noBoardTitle'), words.say('noBoardHint'));
    } else if (!this.#drawn) {
      this.#note('', '');
    }
    if (isNews && name === 'absent') this.#rulesOf = ''; // It may be another one when it comes back.
    if (name === 'live') this.#askRules(this.getAttribute('namespace'));
    if (isNews) this.#fire('leaderboard-state', { ...state, title: words.say(`states.${name}`), why });
  }

  #note(title, hint) {
    const note = this.#find('note');
    [note.children[0].textContent, note.children[1].textContent] = [title, hint];
    note.hidden = !title;
    this.#find('board').hidden = Boolean(title);
    if (title || this.#drawn) this.#reserve(null);
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  #find(id) {
    return this.#root.getElementById(id);
  }
}

if (!customElements.get('leader-board')) customElements.define('leader-board', LeaderBoard);

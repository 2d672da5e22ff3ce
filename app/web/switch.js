// What the switch has beside periods: seasons, categories, older windows, and how long the window lasts yet.
import { Leaderboard } from '/clients/live.js';
import { periodOf, windowAt } from './calendar.js';

const UNITS = [['day', 86_400_000, 2], ['hour', 3_600_000, 1], ['minute', 60_000, 1], ['second', 1_000, 0]];
const DAY_MS = 86_400_000;
/** After its end, a window takes late grants as long as `accept_past` says, and this. */
const CLOSES_MS = 60_000;

/** Whether a window is over, as far as the rules and the clock of this device tell. */
export function isOver(window, rules) {
  const period = periodOf(window);
  if (period === 'season') {
    const season = rules.seasons?.find(({ name }) => `season:${name}` === window);
    return season !== undefined && Date.parse(season.ends) <= Date.now();
  }
  return window !== period && period !== '' && window < windowAt(period, Date.now(), rules);
}

export class Switch {
  #find;
  #pick;
  #choice = null;
  #board = null;
  #timer = 0;
  #labelsOf = ''; // The namespace whose categories were asked for.

  /** find(id): an element of the page; pick(change): another choice. */
  constructor(find, pick) {
    this.#find = find;
    this.#pick = pick;
    find('season').onchange = () => pick({ window: find('season').value || 'all' });
    find('category').onchange = () => pick({ category: find('category').value });
    find('earlier').onclick = () => this.#step(Date.parse(this.#board.starts) - 1);
    find('later').onclick = () => this.#step(Date.parse(this.#board.ends));
    document.addEventListener('visibilitychange', () => document.hidden || this.#tell());
  }

  choose(choice) {
    const { namespace, window, category, words } = choice;
    const keyOf = (one) => JSON.stringify([one?.namespace.name, one?.window, one?.category]);
    if (keyOf(choice) !== keyOf(this.#choice)) this.#board = null;
    this.#choice = choice;
    const seasons = (namespace.seasons ?? []).map(({ name }) => name);
    const season = periodOf(window) === 'season' ? window : '';
    this.#offer('season', [[words.say('when.season'), ''], ...seasons.map((name) => [name, `season:${name}`])], season, seasons.length);
    const isOther = this.#labelsOf !== namespace.name;
    if (isOther || category) this.#offerCategories(isOther ? [] : this.#labels(), category);
    else this.#find('category').value = '';
    this.#tell();
  }

  /** board: what is drawn now. */
  draw(board) {
    this.#board = board;
    this.#askCategories(board);
    this.#tell();
  }

  #offer(id, options, value, isThere) {
    const control = this.#find(id);
    const all = options.some(([, one]) => one === value) ? options : [...options, [value.replace(/^season:/, ''), value]];
    const content = JSON.stringify(all);
    if (control.dataset.content !== content) control.replaceChildren(...all.map((option) => new Option(...option)));
    control.dataset.content = content;
    control.value = value;
    control.parentElement.hidden = !isThere && !value;
  }

  #labels() {
    return [...this.#find('category').options].map(({ value }) => value).filter(Boolean);
  }

  #offerCategories(labels, category) {
    const { namespace, words } = this.#choice;
    const options = [[words.say('when.categories'), ''], ...labels.map((label) => [label, label])];
    this.#offer('category', options, category, namespace.category_boards && labels.length);
  }

  /** There is no list of categories: they are those of who is on the board. */
  async #askCategories({ entries }) {
    const { namespace, token } = this.#choice;
    if (this.#labelsOf === namespace.name) return;
    this.#labelsOf = namespace.name;
    if (!namespace.category_boards || !entries.length) return void (entries.length || (this.#labelsOf = ''));
    const body = { users: entries.map((entry) => entry.user_id) };
    const client = new Leaderboard({ url: location.origin, token });
    const answer = await client.request('POST', ['v1', 'namespaces', namespace.name, 'totals'], { body }).catch(() => null);
    if (this.#labelsOf !== namespace.name || this.#choice.namespace.name !== namespace.name) return;
    if (!answer) return void (this.#labelsOf = '');
    const labels = new Set(answer.totals.flatMap(({ categories }) => Object.keys(categories)));
    this.#offerCategories([...labels].sort((a, b) => a.localeCompare(b)), this.#choice.category);
  }

  #step(ms) {
    const { namespace, window } = this.#choice;
    const period = periodOf(window);
    const [other, current] = [ms, Date.now()].map((at) => windowAt(period, at, namespace));
    this.#pick({ window: other === current ? period : other });
  }

  /** The buttons beside the time, and how long it lasts yet: said each minute, in the last one each second. */
  #tell() {
    clearTimeout(this.#timer);
    if (!this.#choice) return;
    const { namespace, window, words } = this.#choice;
    const [board, period] = [this.#board, periodOf(window)];
    const mayStep = !['', 'all', 'season'].includes(period);
    for (const id of ['earlier', 'later']) {
      this.#find(id).hidden = !mayStep;
      this.#find(id).disabled = !board?.starts || (id === 'later' && Date.parse(board.ends) > Date.now());
    }
    const left = this.#find('left');
    left.textContent = '';
    if (!board?.ends) return;
    const ms = Date.parse(board.ends) - Date.now();
    if (ms <= 0) {
      const past = milliseconds(namespace.accept_past);
      left.textContent = words.say(-ms > past + CLOSES_MS ? 'when.final' : isOver(window, namespace) ? 'when.over' : 'when.next');
      left.title = words.say(-ms > past + CLOSES_MS ? 'when.finalHint' : 'when.overHint');
      return;
    }
    left.title = words.moment(board.ends);
    const [unit, size] = UNITS.find(([, size, least]) => ms >= size * least);
    const n = unit === 'second' || unit === 'minute' ? Math.ceil(ms / size) : Math.floor(ms / size);
    left.textContent = words.say('when.ends', { time: words.until(n, unit) });
    if (!document.hidden) this.#timer = setTimeout(() => this.#tell(), unit === 'second' || ms < 61_000 ? (ms % 1_000) + 10 : (ms % 60_000) + 10);
  }
}

/** Of `P35D`, `PT1H30M`; null: without bound. */
function milliseconds(duration) {
  if (duration === undefined) return 35 * DAY_MS;
  const [, weeks, days, hours, minutes, seconds] = /^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/.exec(duration ?? '') ?? [];
  if (duration === null || [weeks, days, hours, minutes, seconds].every((part) => part === undefined)) return Infinity;
  const of = (part, ms) => Number(part ?? 0) * ms;
  return of(weeks, 7 * DAY_MS) + of(days, DAY_MS) + of(hours, 3_600_000) + of(minutes, 60_000) + of(seconds, 1_000);
}

// How the scores of a board are spread, and how many grants came in: read while it is shown, and seldom.
import { Leaderboard } from '/clients/live.js';
import { chart, spokenTable } from './chart.js';

const REFRESH_MS = 60_000;
const BINS = 20;
const HOUR_MS = 3_600_000;
/** For each length of a bucket: how many of them are shown. */
const BUCKETS = { hour: { ms: HOUR_MS, count: 48 }, day: { ms: 24 * HOUR_MS, count: 30 } };

export class Statistics {
  #section;
  #button;
  #choice = null; // {namespace, window, category, around, token, words}
  #question = null; // What is read now; the answers to an earlier one are not shown.
  #timer = 0;
  #readAt = -Infinity;

  constructor(section, button) {
    this.#section = section;
    this.#button = button;
    button.onclick = () => this.#toggle();
    this.#find('close').onclick = () => this.#toggle();
    this.#find('bucket').onchange = () => this.#read();
    document.addEventListener('visibilitychange', () => this.#look());
    document.addEventListener('page-choice', ({ detail: { element, ...choice } }) => this.#choose(choice));
  }

  /** Another board, window, user or key, perhaps. */
  #choose(choice) {
    const isOther = JSON.stringify(choice) !== JSON.stringify(this.#choice);
    this.#choice = choice;
    if (!isOther) return;
    this.#clear();
    this.#read();
  }

  #toggle() {
    this.#section.hidden = !this.#section.hidden;
    this.#button.ariaExpanded = String(!this.#section.hidden);
    clearTimeout(this.#timer);
    if (this.#section.hidden) return this.#button.focus();
    this.#read();
    this.#find('title').focus({ preventScroll: true });
    const isCalm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    return this.#section.scrollIntoView({ block: 'nearest', behavior: isCalm ? 'auto' : 'smooth' });
  }

  #clear() {
    for (const part of ['sums', 'spread', 'place', 'trend', 'note']) this.#find(part).replaceChildren();
  }

  /** Reads again if it is time to, and somebody sees it. */
  #look() {
    clearTimeout(this.#timer);
    if (this.#section.hidden || document.hidden) return;
    const left = this.#readAt + REFRESH_MS - performance.now();
    if (left <= 0) this.#read();
    else this.#timer = setTimeout(() => this.#look(), left);
  }

  async #read() {
    if (this.#section.hidden || !this.#choice?.namespace) return;
    const question = this.#question = { ...this.#choice, bucket: this.#find('bucket').value };
    const { namespace, window, around, token } = question;
    const category = question.category || undefined;
    const client = new Leaderboard({ url: location.origin, token });
    const board = ['v1', 'namespaces', namespace.name, 'boards', window];
    const { ms, count } = BUCKETS[question.bucket];
    // By whole hours: caches then have the same address for a while.
    const since = new Date((Math.floor(Date.now() / HOUR_MS) + 1) * HOUR_MS - count * ms);
    this.#readAt = performance.now();
    this.#look();
    try {
      const [stats, place, trends] = await Promise.all([
        client.request('GET', [...board, 'stats'], { query: { histogram: BINS, category } }),
        around ? client.request('GET', board, { query: { user: around, category } }) : null,
        client.request('GET', ['v1', 'namespaces', namespace.name, 'trends'], { query: { bucket: question.bucket, since, limit: count } }),
      ]);
      if (question !== this.#question) return;
      this.#showSpread(question, stats, place?.entries[0]);
      this.#showTrend(question, trends, since);
      this.#find('note').textContent = '';
    } catch (problem) {
      if (question === this.#question) this.#refuse(question, problem);
    }
  }

  #refuse({ words }, problem) {
    // What is not for the reader is taken away; what was read before may stay while the server is busy.
    if (problem.status >= 400 && problem.status < 429) this.#clear();
    const why = words.say(`problems.${problem.code}`) || problem.detail || problem.message;
    this.#find('note').textContent = words.say('page.failed', { why });
  }

  #showSpread({ namespace, words }, stats, entry) {
    const score = (value) => words.score(value, namespace.scale);
    const { count, mean, percentiles = {}, histogram: bins = [] } = stats;
    const tenth = percentiles['90'];
    const has = (value) => value !== null && value !== undefined;
    const sums = [words.say('players', { n: count })];
    // A mean has more decimal places than scores have.
    if (has(mean)) sums.push(words.say('statistics.mean', { score: words.score(mean, (namespace.scale ?? 0) + 1) }));
    if (has(percentiles['50'])) sums.push(words.say('statistics.median', { score: score(percentiles['50']) }));
    if (has(tenth)) sums.push(words.say('statistics.tenth', { score: score(tenth) }));
    this.#find('sums').textContent = count ? sums.join(' · ') : words.say('emptyTitle');
    const last = bins.length - 1;
    const marked = entry ? bins.findIndex(({ from, to }, i) => entry.score >= from && (entry.score < to || i === last)) : -1;
    const span = ({ from, to }) => (from === to ? score(from) : words.say('statistics.span', { from: score(from), to: score(to) }));
    const bars = bins.map((bin, i) => ({
      value: bin.count, title: `${span(bin)}: ${words.say('players', { n: bin.count })}`, isMarked: i === marked,
    }));
    const rows = bins.map((bin) => [span(bin), words.count(bin.count)]);
    if (bins.length) {
      const ends = [score(bins[0].from), score(bins[last].to)];
      this.#fill('spread', bars, ends, spokenTable([words.say('score'), words.say('statistics.players')], rows), words);
    } else this.#find('spread').replaceChildren();
    const name = entry && (entry.display_name || entry.user_id);
    const values = entry && { name, rank: words.count(entry.rank), count: words.count(count), score: score(entry.score) };
    this.#find('place').textContent = marked >= 0 ? words.say('statistics.place', values) : '';
  }

  #showTrend({ bucket, words }, trends, since) {
    const { ms, count } = BUCKETS[bucket];
    const bars = Array(count).fill(undefined);
    const when = ({ at }) => (bucket === 'hour' ? words.moment(at) : words.date(at));
    let next = count;
    for (const trend of trends.toReversed()) {
      // A day has 23 hours now and then: no two have the same place.
      next = Math.min(next, count - Math.max(0, Math.floor((Date.now() - Date.parse(trend.at)) / ms))) - 1;
      bars[next] = { value: trend.grants, title: `${when(trend)}: ${words.say('statistics.grants', { n: trend.grants })}` };
    }
    if (!trends.length) return void this.#find('trend').replaceChildren(words.say('statistics.noGrants'));
    const heads = ['time', 'grantsHead', 'players'].map((one) => words.say(`statistics.${one}`));
    const rows = trends.map((trend) => [when(trend), words.count(trend.grants), words.count(trend.users)]);
    const ends = [when({ at: since }), words.say('statistics.now')];
    return this.#fill('trend', bars, ends, spokenTable(heads, rows), words);
  }

  #fill(part, bars, [first, last], table, words) {
    const most = Math.max(...bars.map((bar) => bar?.value ?? 0));
    const ends = Object.assign(document.createElement('p'), { className: 'ends' });
    for (const text of [first, last]) ends.append(Object.assign(document.createElement('bdi'), { textContent: text }));
    const peak = Object.assign(document.createElement('span'), { className: 'peak', textContent: words.count(most) });
    for (const shape of [ends, peak]) shape.ariaHidden = 'true'; // The table says it.
    this.#find(part).replaceChildren(peak, chart(bars), ends, table);
  }

  #find(name) {
    return document.getElementById(`statistics-${name}`);
  }
}

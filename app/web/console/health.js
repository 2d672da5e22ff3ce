// How the server is.
import { page } from './api.js';
import { el, number, table } from './dom.js';
import { say } from './text.js';

const REFRESH_MS = 2_000;

/** What /readyz and /metrics say, again every two seconds while it is shown. */
export async function health(main, { isShown }) {
  const view = el('div', { className: 'card' });
  main.append(view);
  async function look() {
    const [ready, metrics] = await Promise.all([page('/readyz').then(JSON.parse), page('/metrics')]);
    const sum = (name, label = '') => metrics.split('\n').filter((text) => text.startsWith(name) && ' {'.includes(text[name.length]) && text.includes(label))
      .reduce((all, text) => all + Number(text.slice(text.lastIndexOf(' '))), 0);
    const lines = (name, text) => (text?.length ? [el('h3', {}, name), el('ul', {}, [text].flat().map((one) => el('li', {}, String(one))))] : []);
    const isReady = ready.status === 'ready';
    view.replaceChildren(
      el('h2', { className: isReady ? 'good' : 'bad' }, isReady ? `✓ ${say('ready')}` : `! ${say('unready')}`),
      table(say('places.health'), [say('what'), say('state')], [
        [say('entriesBehind'), number(ready.lag_seq)], [say('drift'), number(sum('leaderboard_drifting_namespaces'))],
        [say('refused'), number(sum('leaderboard_grants_total', 'rejected'))], [say('sockets'), number(sum('leaderboard_live_connections'))],
      ]),
      ...lines(say('degraded'), ready.degraded), ...lines(say('capacity'), ready.capacity));
  }
  async function again() {
    if (!isShown()) return;
    await look().catch((problem) => view.replaceChildren(el('p', { className: 'bad' }, say('unreachable')), el('p', { className: 'soft' }, String(problem.message))));
    setTimeout(again, REFRESH_MS);
  }
  await again();
}

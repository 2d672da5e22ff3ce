// Whose grants stand out from those of the others. Pure: grants in, reasons out. It judges nobody: a person looks.
import { add, byTime } from './score.js';

/** Grants of one user within this time are one burst. */
const BURST_MS = 300_000;
/** So many times the usual stands out. */
const TIMES = 5;
/** Fewer grants than this are no burst, and no series. */
const COUNT_MIN = 10;
/** Users who are shown. */
const SUSPECTS_MAX = 20;

/** What is usual in a namespace: medians over its grants and its users. Where the lowest stands first, small is odd. */
export function usualOf(grants, rules) {
  const users = Object.values(Object.groupBy(grants, ({ user_id: user }) => user));
  const sources = Map.groupBy(grants, ({ source }) => source);
  return {
    isLowBest: rules.order === 'asc' && rules.aggregation !== 'sum',
    amount: median(grants.map(({ amount }) => Math.abs(amount))),
    burst: median(users.map((own) => burstOf(own).length)),
    series: median(users.map((own) => seriesOf(own).length)),
    lonely: users.length > 2 ? new Set([...sources].filter(([source, all]) => source && new Set(all.map((one) => one.user_id)).size === 1).map(([source]) => source)) : new Set(),
  };
}

/**
 * Why one user's grants stand out. Each reason: its kind, its grants, and the figures of its sentence.
 * @returns {{kind: 'burst' | 'large' | 'series' | 'lonely', grants: any[], ms?: number, usual?: number, amount?: number, source?: string}[]}
 */
export function reasonsOf(grants, usual) {
  const reasons = [];
  const isOdd = (amount) => (usual.isLowBest ? amount <= usual.amount / TIMES : Math.abs(amount) >= 2 * TIMES * usual.amount);
  const large = usual.amount ? grants.filter(({ amount }) => isOdd(amount)) : [];
  const burst = burstOf(grants);
  if (burst.length >= Math.max(COUNT_MIN, TIMES * usual.burst)) {
    const ms = Date.parse(burst.at(-1).granted_at) - Date.parse(burst[0].granted_at);
    // In a burst of unusual amounts an honest grant may lie, too.
    const odd = burst.filter((grant) => large.includes(grant));
    reasons.push({ kind: 'burst', grants: odd.length * 2 > burst.length ? odd : burst, ms });
  }
  if (large.length) {
    const far = usual.isLowBest ? Math.min : Math.max;
    const { amount } = large.reduce((best, one) => (far(Math.abs(one.amount), Math.abs(best.amount)) === Math.abs(one.amount) ? one : best));
    reasons.push({ kind: 'large', grants: large, amount, usual: usual.amount });
  }
  const series = seriesOf(grants);
  if (series.length >= Math.max(COUNT_MIN, TIMES * usual.series)) {
    reasons.push({ kind: 'series', grants: series, amount: series[0].amount, source: series[0].source ?? '—' });
  }
  for (const [source, own] of Map.groupBy(grants.filter((one) => usual.lonely.has(one.source)), (one) => one.source)) {
    if (own.length >= COUNT_MIN && own.length < grants.length) reasons.push({ kind: 'lonely', grants: own, source });
  }
  return merged(reasons);
}

/** Users with reasons, those first whose odd grants are worth the most. */
export function suspectsOf(grants, usual) {
  const users = Map.groupBy(grants, ({ user_id: user }) => user);
  const suspects = [...users].map(([user, own]) => ({ user, reasons: reasonsOf(own, usual) })).filter(({ reasons }) => reasons.length);
  for (const suspect of suspects) {
    const odd = new Set(suspect.reasons.flatMap((reason) => reason.grants));
    suspect.worth = add(...[...odd].map(({ amount }) => Math.abs(amount)));
  }
  return suspects.sort((a, b) => b.worth - a.worth).slice(0, SUSPECTS_MAX);
}

/** Reasons about the same grants stand together, as one. */
function merged(reasons) {
  const groups = Map.groupBy(reasons, ({ grants }) => grants.map(({ grant_id: id }) => id).sort().join('\n'));
  return [...groups.values()].map((same) => ({ ...same[0], also: same.slice(1) }));
}

/** The most grants within BURST_MS, in their order. O(n log n). */
function burstOf(grants) {
  const inOrder = grants.toSorted(byTime);
  let [best, first] = [[0, 0], 0];
  for (let last = 0; last < inOrder.length; last++) {
    while (Date.parse(inOrder[last].granted_at) - Date.parse(inOrder[first].granted_at) > BURST_MS) first++;
    if (last + 1 - first > best[1] - best[0]) best = [first, last + 1];
  }
  return inOrder.slice(...best);
}

/** The most grants of one amount and one source. */
function seriesOf(grants) {
  const groups = [...Map.groupBy(grants, ({ amount, source }) => JSON.stringify([amount, source])).values()];
  return groups.reduce((best, group) => (group.length > best.length ? group : best), []);
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted.length ? sorted[sorted.length >> 1] : 0;
}

// What grants come to by a namespace's rules. Pure: numbers in, numbers out.

/** Sums of amounts with at most six places are exact in this. */
const UNITS = 1e6;

export function add(...amounts) {
  return amounts.reduce((sum, amount) => sum + Math.round(amount * UNITS), 0) / UNITS;
}

/** Whether a grant is on the board at all. window: {name, starts, ends} as the server tells it. */
export function isOn({ granted_at: at, opening, category }, { window, starts, ends, category: only = null }) {
  if (only !== null && category !== only) return false;
  if (window === 'all') return true;
  const moment = Date.parse(at);
  return !opening && moment >= Date.parse(starts) && moment < Date.parse(ends);
}

/** The score that live grants make; null for none. grants: in any order. */
export function scoreOf(grants, rules) {
  if (!grants.length) return null;
  if (rules.aggregation === 'sum') return add(...grants.map(({ amount }) => amount));
  if (rules.aggregation === 'best') return betterBy(rules)(...grants.map(({ amount }) => amount));
  return grants.toSorted(byTime).at(-1).amount;
}

/**
 * For each grant, from the newest: the score behind it, and whether it counts now. score: of all, those that are not
 * loaded too. Of a sum every grant counts, and the score behind one is that of now without what came later.
 * @returns {{value: number, counts: boolean}[]}
 */
export function running(grants, score, rules) {
  if (rules.aggregation === 'sum') {
    let value = score;
    return grants.map(({ amount }) => {
      const row = { value, counts: true };
      value = add(value, -amount);
      return row;
    });
  }
  const better = betterBy(rules);
  let value = null;
  const rows = grants.toReversed().map(({ amount }) => {
    value = value === null || rules.aggregation === 'latest' ? amount : better(value, amount);
    return { value, counts: rules.aggregation === 'best' && amount === score };
  }).reverse();
  if (rules.aggregation === 'latest' && rows.length) rows[0].counts = true;
  return rows;
}

export function betterBy({ order }) {
  return order === 'asc' ? Math.min : Math.max;
}

/** By granted_at, then by their place in the log, as the server orders them. */
export function byTime(a, b) {
  return Date.parse(a.granted_at) - Date.parse(b.granted_at) || (a.granted_at < b.granted_at ? -1 : a.granted_at > b.granted_at ? 1 : a.seq - b.seq);
}

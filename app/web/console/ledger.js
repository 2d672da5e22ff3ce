// What the API has of boards, grants and users, as the views need it.
import { call } from './api.js';

const PAGE = 1_000;
/** Pages of a user's grants, and of a namespace's that are looked at for what stands out. */
const PAGES_MAX = 5;
const SCAN_PAGES_MAX = 10;
const SCAN_DAYS = 14;
const SCAN_LIFE_MS = 60_000;

/** Grants of the last days, by namespace: {grants, isWhole, days, at}. Views of the same minute share them. */
const scans = new Map();

export const rulesOf = (namespace) => call('GET', ['namespaces', namespace]);

/** A user's place on a board: {window, starts, ends, score, rank}; score and rank are null for one who is not there. */
export async function placeOn(namespace, user, window, { category = null, asOf } = {}) {
  const query = { user, ...(category === null ? {} : { category }), ...(asOf ? { as_of: asOf } : {}) };
  const board = await call('GET', ['namespaces', namespace, 'boards', window], { query });
  const entry = board.entries.find(({ user_id: id }) => id === user);
  return { window: board.window, starts: board.starts, ends: board.ends, category, score: entry?.score ?? null, rank: entry?.rank ?? null };
}

/** The first entries of a board. */
export async function topOf(namespace, window, category, limit) {
  const query = { limit, ...(category === null ? {} : { category }) };
  return (await call('GET', ['namespaces', namespace, 'boards', window], { query })).entries;
}

/**
 * A user's grants, void ones too, newest first. since, until: of the window, null for no bound.
 * @returns {Promise<{grants: any[], isWhole: boolean, lag: number}>}
 */
export async function historyOf(namespace, user, { starts = null, ends = null } = {}) {
  const grants = [];
  let [cursor, lag] = [undefined, 0];
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const query = { limit: PAGE, ...(starts && { since: starts }), ...(ends && { until: ends }), ...(cursor && { cursor }) };
    const answer = await call('GET', ['namespaces', namespace, 'users', user, 'grants'], { query });
    grants.push(...answer.grants);
    [cursor, lag] = [answer.next_cursor, answer.lag_seq];
    if (!cursor) return { grants, isWhole: true, lag };
  }
  return { grants, isWhole: false, lag };
}

/** The grants of the last days that count. isNew: those of a minute ago will not do. */
export async function scan(namespace, { isNew = false } = {}) {
  const last = scans.get(namespace);
  if (last && !isNew && Date.now() - last.at < SCAN_LIFE_MS) return last;
  const since = new Date(Math.floor(Date.now() / 3_600_000) * 3_600_000 - SCAN_DAYS * 86_400_000).toISOString();
  const grants = [];
  let cursor;
  for (let pages = 0; pages < SCAN_PAGES_MAX; pages++) {
    const answer = await call('GET', ['namespaces', namespace, 'grants'], { query: { state: 'live', since, limit: PAGE, ...(cursor && { cursor }) } });
    grants.push(...answer.grants);
    cursor = answer.next_cursor;
    if (!cursor) break;
  }
  const result = { grants, isWhole: !cursor, days: SCAN_DAYS, at: Date.now() };
  scans.set(namespace, result);
  return result;
}

export function forgetScan(namespace) {
  scans.delete(namespace);
}

/** Names of users for people: their ids where they have none, or the key may not know. */
export async function namesOf(namespace, users) {
  if (!users.length) return new Map();
  const board = await call('GET', ['namespaces', namespace, 'boards', 'all'], { query: { user: users } });
  return new Map(board.entries.map(({ user_id: id, display_name: name, score, rank }) => [id, { name, score, rank }]));
}

/** Users who are hidden now, by the events of the namespace. */
export async function hiddenUsers(namespace) {
  const hidden = new Map();
  let after;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const query = { type: ['user_hidden', 'user_unhidden', 'user_erased'], limit: PAGE, ...(after && { after }) };
    const answer = await call('GET', ['namespaces', namespace, 'events'], { query });
    for (const { type, user_id: user, at } of answer.events) {
      if (type === 'user_hidden' && user) hidden.set(user, at);
      else hidden.delete(user);
    }
    if (answer.events.length < PAGE) break;
    after = answer.next_after;
  }
  return hidden;
}

/** What was corrected of one user's grants: acts of one key for one reason within a minute stand together, newest first. */
export async function correctionsOf(namespace, user) {
  const groups = [];
  let after;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const query = { type: ['voided', 'restored', 'edited', 'quarantined'], limit: PAGE, ...(after && { after }) };
    const answer = await call('GET', ['namespaces', namespace, 'events'], { query });
    for (const event of answer.events.filter(({ user_id: one }) => one === user)) {
      const last = groups[0];
      const isSame = last && last.type === event.type && last.reason === event.reason && last.actor === event.actor && Date.parse(event.at) - Date.parse(last.at) < 60_000;
      if (isSame) last.ids.add(event.grant_id);
      else groups.unshift({ type: event.type, reason: event.reason ?? null, actor: event.actor, at: event.at, ids: new Set([event.grant_id]) });
    }
    if (answer.events.length < PAGE) break;
    after = answer.next_after;
  }
  return groups;
}

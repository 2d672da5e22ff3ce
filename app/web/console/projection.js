// What boards become when grants are voided or count again: a look before the deed.
import { call } from './api.js';
import { historyOf, placeOn } from './ledger.js';
import { add, isOn, scoreOf } from './score.js';

/** Moments whose boards are looked up: grants of one hour stand on the same boards. */
const MOMENTS_MAX = 8;

/**
 * The boards that change, and how. Which boards a grant stands on, the server's dry run of a grant says; one grant's
 * changes as well. Of many grants the scores are added up here, and `rank-of` says which ranks they have.
 * kind: 'void' or 'restore'. grants: of one user, each at its revision.
 * @returns {Promise<{moves: any[], isWhole: boolean}>} isWhole: all boards are there
 */
export async function project(namespace, rules, kind, grants) {
  if (grants.length === 1) return { moves: (await dryRun(namespace, kind, grants[0])).moves, isWhole: true };
  const { user_id: user } = grants[0];
  const moments = [...Map.groupBy(grants, (grant) => `${grant.granted_at.slice(0, 13)} ${grant.category}`).values()];
  const dryRuns = await Promise.all(moments.slice(0, MOMENTS_MAX).map(([grant]) => dryRun(namespace, kind, grant)));
  const boards = new Map(dryRuns.flatMap(({ moves }) => moves).map((move) => [`${move.window}\n${move.category ?? ''}`, move]));
  const { grants: all, isWhole } = await historyOf(namespace, user);
  const changed = new Set(grants.map(({ grant_id: id }) => id));
  const moves = await Promise.all([...boards.values()].map(async ({ window, category }) => {
    const place = await placeOn(namespace, user, window, { category });
    const own = all.filter((grant) => isOn(grant, place));
    const remaining = own.filter((grant) => (changed.has(grant.grant_id) ? kind === 'restore' : !grant.voided));
    // Of a sum the change is enough; it holds for grants that are not loaded, too.
    const change = add(...grants.filter((grant) => isOn(grant, place)).map(({ amount }) => amount));
    const isAny = !isWhole || remaining.length > 0;
    const score = rules.aggregation === 'sum' ? (isAny ? add(place.score ?? 0, kind === 'void' ? -change : change) : null) : scoreOf(remaining, rules);
    return {
      window, category, user_id: user, previous_score: place.score, previous_rank: place.rank, score,
      rank: score === null ? null : await rankOf(namespace, rules, { ...place, score, previous: place.score }),
    };
  }));
  return { moves, isWhole: moments.length <= MOMENTS_MAX && (isWhole || rules.aggregation === 'sum') };
}

export function dryRun(namespace, kind, { grant_id: id, revision }) {
  const path = ['namespaces', namespace, 'grants', id];
  if (kind === 'void') return call('DELETE', path, { query: { dry_run: true, revision } });
  return call('POST', [...path, 'restore'], { query: { dry_run: true }, body: { revision } });
}

/** The rank that a score would have without the user's present one. undefined: the ranking makes it depend on more. */
async function rankOf(namespace, { ranking, order }, { window, category, score, previous }) {
  if (ranking !== 'competition') return undefined;
  const query = category === null ? {} : { category };
  const { rank } = await call('GET', ['namespaces', namespace, 'boards', window, 'rank-of', String(score)], { query });
  const isBetter = previous !== null && (order === 'asc' ? previous < score : previous > score);
  return rank - (isBetter ? 1 : 0);
}

// What a reader is told of a connection and of the subscription over it.

/** Nothing to show until somebody makes the board, or makes it public. */
const ABSENT = new Set(['namespace_not_found', 'board_not_found', 'unauthorized', 'forbidden']);

/**
 * @param {import('./live.d.ts').LiveConnection | null} live
 * @param {import('./live.d.ts').Subscription | null} subscription
 * @param {{name: string, code: string}} before
 * @returns {{name: string, code: string}} code: of the problem; '' for none
 */
export function stateOf(live, subscription, before) {
  const state = (name, problem) => ({ name, code: problem?.code ?? '' });
  if (!live || !subscription) return state('idle');
  if (live.state === 'closed') return state('stopped', live.problem);
  if (subscription.state === 'closed') return state('stopped', subscription.problem);
  if (live.state === 'waiting' && live.problem?.code === 'hidden') return state('connecting');
  if (live.state === 'waiting' && live.problem) return state('reconnecting', live.problem);
  if (subscription.state === 'waiting' && live.state === 'live') {
    return state(ABSENT.has(subscription.problem?.code) ? 'absent' : 'stale', subscription.problem);
  }
  if (subscription.state === 'live') return state('live');
  // Until it works again, the reason stays.
  return ['reconnecting', 'stale', 'absent'].includes(before.name) ? before : state('connecting');
}

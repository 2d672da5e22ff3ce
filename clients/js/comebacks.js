// How a connection, or a subscription, comes back after what ended it: the bounds of the first and of the longest wait, in ms.

/** @typedef {readonly [number, number]} Bounds */

/** @type {Bounds} */
export const SOON = [500, 30_000];
/** @type {Bounds} */
export const RENEWAL = [1_000, 60_000];
/** @type {Bounds} */
export const PATIENT = [5_000, 60_000];
/** @type {Bounds} */
export const PASSED = [1_000, 30_000];
/** @type {Bounds} */
const ABSENT = [2_000, 60_000];

export const UNAUTHORIZED = 4001;
export const REVOKED = 4101;
/** Close codes after which another try does not help: unauthorized, forbidden, over a limit, bad message. */
const FINAL = new Set([UNAUTHORIZED, 4003, 4013, 4400]);
/** Close codes of a client that does too much, or too little. */
const IMPATIENT = new Set([4102, 4108, 4129]);
/** Errors of a subscription that pass soon. */
const PASSING = new Set(['store_unavailable', 'recovering', 'overloaded', 'rate_limited', 'internal']);
/** Errors that pass when somebody makes the board anew, or public. */
const MISSING = new Set(['namespace_not_found', 'board_not_found', 'unauthorized', 'forbidden']);

/**
 * @param {number} code of a close
 * @returns {Bounds | null} null: it is final
 */
export function afterClose(code) {
  if (FINAL.has(code)) return null;
  if (code === REVOKED) return RENEWAL;
  return IMPATIENT.has(code) ? PATIENT : SOON;
}

/**
 * @param {string} code of a subscription's error
 * @returns {{bounds: Bounds | null, isAbsent: boolean}} no bounds: it is final; isAbsent: there is no board to show
 */
export function afterError(code) {
  const isAbsent = MISSING.has(code);
  return { bounds: isAbsent ? ABSENT : PASSING.has(code) ? PASSED : null, isAbsent };
}

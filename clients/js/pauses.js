// Waits: how long, and how often at most.

/**
 * A random wait from 0 up to a bound that doubles with each try ("full jitter"): clients that lost the same server do not
 * come back together.
 * @param {number} tries tries so far, from 0
 * @param {readonly [number, number]} bounds of the first wait, and of the longest, in ms
 * @param {() => number} random from 0 to below 1
 * @returns {number} ms
 */
export function fullJitter(tries, [first, longest], random) {
  return random() * Math.min(longest, first * 2 ** Math.min(tries, 30));
}

/**
 * Resolves after a while. Rejects with the signal's reason if that is aborted first.
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', end);
      resolve();
    }, ms);
    if (signal?.aborted) end();
    else signal?.addEventListener('abort', end, { once: true });
  });
}

/** Messages that may be sent: so many at once, then so many a second. The server closes the connection of a client that sends more. */
export class Allowance {
  #left;
  #at = performance.now();
  #most;
  #perSecond;

  /**
   * @param {number} most
   * @param {number} perSecond
   */
  constructor(most, perSecond) {
    this.#left = this.#most = most;
    this.#perSecond = perSecond;
  }

  /**
   * Takes one.
   * @returns {number} 0, or the ms after which there is one again
   */
  take() {
    const now = performance.now();
    this.#left = Math.min(this.#most, this.#left + ((now - this.#at) / 1_000) * this.#perSecond);
    this.#at = now;
    if (this.#left < 1) return Math.ceil(((1 - this.#left) * 1_000) / this.#perSecond);
    this.#left -= 1;
    return 0;
  }
}

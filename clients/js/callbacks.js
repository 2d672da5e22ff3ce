// Calls of the user's functions. What they throw is told, and stops nothing.

import { Problem } from './problem.js';

export class Callbacks {
  #onError;

  /** @param {(problem: Problem) => void} [onError] */
  constructor(onError = (problem) => console.error(problem)) {
    this.#onError = onError;
  }

  /** What `onError` itself throws is for nobody but the program. @param {Problem} problem */
  report(problem) {
    try {
      this.#onError(problem);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** @param {() => void} act */
  call(act) {
    try {
      act();
    } catch (cause) {
      this.report(new Problem('callback', String(cause), { cause }));
    }
  }
}

// Boards that take turns: the next one is there before it is shown, so nothing is ever empty.

/** The next board has this long to arrive. */
const PREPARE_MS = 4_000;
/** As long as it takes to fade out. */
const FADE_MS = 1_000;

export class Rotation {
  #boards;
  #rows;
  #shown;
  #spare;
  #index = 0;
  #next = 0;
  #owner;

  /** elements: two <leader-board>; owner: onTurn(element, board) */
  constructor(elements, { boards, rows }, owner) {
    [this.#shown, this.#spare] = elements;
    [this.#boards, this.#rows, this.#owner] = [boards, rows, owner];
  }

  get element() {
    return this.#shown;
  }

  get index() {
    return this.#index;
  }

  begin(seconds) {
    this.#aim(this.#shown, this.#boards[0]);
    this.#owner.onTurn();
    if (this.#boards.length < 2) this.#spare.remove();
    else this.#wait(seconds * 1_000 - PREPARE_MS);
  }

  #wait(ms) {
    setTimeout(() => {
      this.#next = (this.#next + 1) % this.#boards.length;
      if (this.#next !== this.#index) this.#aim(this.#spare, this.#boards[this.#next]); // Else all others are missing.
      setTimeout(() => {
        this.#turn();
        this.#wait(ms);
      }, PREPARE_MS);
    }, ms);
  }

  /** One that has no board is left out; the next one is tried after the usual time. */
  #turn() {
    if (this.#next !== this.#index && this.#spare.board) {
      [this.#shown, this.#spare] = [this.#spare, this.#shown];
      this.#index = this.#next;
      for (const element of [this.#shown, this.#spare]) {
        element.classList.toggle('spare', element === this.#spare);
        element.ariaHidden = String(element === this.#spare);
      }
      this.#owner.onTurn();
    }
    const spare = this.#spare;
    setTimeout(() => spare === this.#spare && spare.removeAttribute('namespace'), FADE_MS); // It follows nothing.
  }

  #aim(element, { namespace, window, category }) {
    for (const [name, value] of Object.entries({ namespace, window, category, limit: this.#rows })) element.setAttribute(name, value);
  }
}

// A ceremony: the board as it was at its start, shown from the last row to the first.

const KEYS = new Set([' ', 'Enter', 'ArrowRight', 'ArrowDown', 'PageDown']);
/** The first three take longer. */
const MEDALS = 3;

/**
 * @param {HTMLElement} element a <leader-board> that follows its board already
 * @param {number} seconds until the next row; 0: by hand alone
 */
export function begin(element, seconds) {
  let left = 0; // Rows that are not shown yet.
  let timer = 0;
  element.setAttribute('frozen', '');
  element.setAttribute('concealed', 100);
  const wait = () => {
    clearTimeout(timer);
    if (seconds && left) timer = setTimeout(step, seconds * (left <= MEDALS ? 2_000 : 1_000));
  };
  function step() {
    if (!left) return;
    left -= 1;
    element.setAttribute('concealed', left);
    wait();
  }
  element.addEventListener('leaderboard-draw', ({ detail: { board } }) => {
    left = board.entries.length;
    wait();
  });
  addEventListener('keydown', (event) => {
    if (!KEYS.has(event.key) || event.repeat) return;
    event.preventDefault();
    step();
  });
  addEventListener('click', step);
}

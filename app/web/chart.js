// Charts of bars as SVG, and the same numbers as a table for screen readers.

const SVG = 'http://www.w3.org/2000/svg';
/** A bar of anything at all is seen: this part of the highest one. */
const LEAST = 0.02;
const HEIGHT = 100;

/**
 * A chart of numbers from 0 up. It fills its place.
 * @param {({value: number, title: string, isMarked?: boolean} | undefined)[]} bars undefined: nothing is there
 * @returns {Element}
 */
export function chart(bars) {
  const svg = draw('svg', { viewBox: `0 0 ${bars.length} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true', class: 'bars' });
  const most = Math.max(...bars.map((bar) => bar?.value ?? 0));
  bars.forEach((bar, i) => {
    if (!bar?.value) return;
    const height = HEIGHT * Math.max(LEAST, bar.value / most);
    const place = { x: i + 0.08, width: 0.84, y: HEIGHT - height, height, ...(bar.isMarked && { class: 'marked' }) };
    const title = draw('title', {});
    title.textContent = bar.title;
    const rect = draw('rect', place);
    rect.append(title);
    svg.append(rect);
  });
  return svg;
}

function draw(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/**
 * What a chart shows, for those who hear it.
 * @param {string[]} heads
 * @param {string[][]} rows
 */
export function spokenTable(heads, rows) {
  const make = (tag, children, properties = {}) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const head = make('tr', heads.map((text) => make('th', [text], { scope: 'col' })));
  const body = rows.map(([first, ...rest]) => make('tr', [make('th', [first], { scope: 'row' }), ...rest.map((text) => make('td', [text]))]));
  return make('div', [make('table', [make('thead', [head]), make('tbody', body)])], { className: 'unseen' });
}

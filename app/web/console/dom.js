// Elements, made of text alone: nothing that comes from the server is ever read as HTML.

/** An element. props: its properties; children: elements and texts. */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('aria-')) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A button that does one thing. */
export function button(text, onclick, props = {}) {
  return el('button', { type: 'button', onclick, ...props }, text);
}

/** A field below its label. */
export function field(text, input) {
  return el('label', { className: 'field' }, el('span', {}, text), input);
}

/** A table. rows: lists of cells: texts, numbers or elements. */
export function table(caption, heads, rows) {
  const cell = (content) => el('td', {}, content instanceof Node ? content : el('bdi', {}, String(content ?? '—')));
  return el('div', { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': caption },
    el('table', {},
      el('caption', {}, caption),
      el('thead', {}, el('tr', {}, heads.map((head) => el('th', { scope: 'col' }, head)))),
      el('tbody', {}, rows.map((row) => el('tr', {}, row.map(cell))))));
}

/** A time as it is read here; the exact one stands in its title. */
export function time(text) {
  if (!text) return '—';
  const short = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(text));
  return el('time', { dateTime: text, title: text }, short);
}

const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 });

/** A number, or a dash for none. */
export function number(value) {
  return value === null || value === undefined ? '—' : numbers.format(value);
}

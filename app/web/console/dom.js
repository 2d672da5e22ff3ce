// Elements, made of text alone: nothing that comes from the server is ever read as HTML.
import { say, words } from './text.js';

/** An element. props: its properties; children: elements and texts, of which null is none. */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('aria-') || name.startsWith('data-')) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A button that does one thing. */
export function button(text, onclick, props = {}) {
  return el('button', { type: 'button', onclick, ...props }, text);
}

/** A link to a place of the console, by the parts of its address. */
export function link(text, ...parts) {
  return el('a', { href: addressOf(...parts) }, el('bdi', {}, text));
}

export function addressOf(...parts) {
  return `#/${parts.map((part) => encodeURIComponent(part ?? '')).join('/')}`;
}

let fields = 0;

/** A field below its label. hint: a sentence about it, which is no part of its name. */
export function field(text, input, hint = '') {
  input.id ||= `field-${++fields}`;
  if (hint) input.setAttribute('aria-describedby', `${input.id}-hint`);
  return el('div', { className: 'field' }, el('label', { htmlFor: input.id }, text), input, hint ? el('small', { id: `${input.id}-hint` }, hint) : null);
}

/** A select. options: pairs of text and value. */
export function select(options, value, props = {}) {
  const element = el('select', props, options.map(([text, one]) => new Option(text, one)));
  element.value = value;
  return element;
}

/** A form in one line, which does not leave the page. */
export function line(onsubmit, ...children) {
  return el('form', { className: 'find', autocomplete: 'off', onsubmit: (event) => { event.preventDefault(); onsubmit(); } }, ...children);
}

/** A table. rows: lists of cells: texts, numbers or elements; a row may have a `tone`, the name of its look. */
export function table(caption, heads, rows) {
  const cell = (content) => el('td', {}, content instanceof Node ? content : el('bdi', {}, String(content ?? '—')));
  return el('div', { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': caption },
    el('table', {},
      el('caption', {}, caption),
      el('thead', {}, el('tr', {}, heads.map((head) => head === '' ? el('td', {}) : el('th', { scope: 'col' }, head)))),
      el('tbody', {}, rows.map((row) => el('tr', { className: row.tone ?? '' }, row.map(cell))))));
}

const moments = new Intl.DateTimeFormat(words.locale, { dateStyle: 'medium', timeStyle: 'medium' });
const spans = [['day', 86_400], ['hour', 3_600], ['minute', 60], ['second', 1]];

/** A time as it is read here; the exact one stands in its title. */
export function time(text) {
  if (!text) return '—';
  return el('time', { dateTime: text, title: text }, moments.format(new Date(text)));
}

/** How long something took, in its largest unit. */
export function span(ms) {
  const s = Math.max(1, Math.ceil(ms / 1_000));
  const [unit, length] = spans.find(([, seconds]) => s >= seconds);
  return new Intl.NumberFormat(words.locale, { style: 'unit', unit, unitDisplay: 'long' }).format(Math.ceil(s / length));
}

/** A number, or a dash for none. */
export function number(value) {
  return value === null || value === undefined ? '—' : words.score(value);
}

/** A window's name for people; a category behind it. */
export function boardName(window, category = null) {
  return category ? `${words.window(window)} · ${category}` : words.window(window);
}

/** Copies a text, and says so on the button. */
export function copyButton(label, text) {
  const copy = button(label, async () => {
    try {
      await navigator.clipboard.writeText(text());
      copy.textContent = `✓ ${say('copied')}`;
    } catch { // A page without https may not: the text is shown, to be copied by hand.
      copy.replaceWith(el('input', { readOnly: true, value: text(), className: 'wide', 'aria-label': label }));
    }
  });
  return copy;
}

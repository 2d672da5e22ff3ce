// The rules of a namespace as fields: one row for each rule that the server has. A test holds them against the server's.
import { el, select } from './dom.js';
import { say } from './text.js';

const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];

/** A kind of field: the control of a value, and what is read from it. Errors are those of the server. */
const KINDS = {
  text: { make: (value) => el('input', { value: value ?? '' }), read: ({ value }) => value.trim() || null },
  required: { make: (value) => el('input', { value, required: true }), read: ({ value }) => value.trim() },
  number: { make: (value) => el('input', { inputMode: 'decimal', value: value ?? '' }), read: ({ value }) => (value.trim() === '' ? null : Number(value)) },
  flag: { make: (value) => el('input', { type: 'checkbox', checked: value }), read: ({ checked }) => checked },
  choice: {
    make: (value, choices) => select(choices.map((one) => [say(`values.${one}`), one]), value),
    read: ({ value }) => value,
  },
  several: {
    make: (value, choices) => el('div', { className: 'several', role: 'group' }, choices.map((one) =>
      el('label', {}, el('input', { type: 'checkbox', value: one, checked: value.includes(one) }), say(`values.${one}`)))),
    read: (group) => ['all', ...[...group.querySelectorAll(':checked')].map(({ value }) => value)],
  },
  // Lists are lines of words, in the order of their fields; a dash is null.
  lines: {
    make: (value, columns) => el('textarea', {
      rows: Math.max(2, (value?.length ?? 0) + 1), spellcheck: false, dir: 'ltr', value: (value ?? []).map((one) => columns.map((name) => one[name] ?? '-').join(' ')).join('\n'),
    }),
    read: ({ value }, columns) => value.split('\n').map((text) => text.trim()).filter(Boolean).map((text) => {
      const words = text.split(/\s+/);
      return Object.fromEntries(columns.map((name, i) => [name, i === words.length || words[i] === '-' ? null : TEXTS.has(name) ? words[i] : Number(words[i])]));
    }),
  },
};
/** Columns of lists that are no numbers. */
const TEXTS = new Set(['name', 'starts', 'ends', 'per']);

/** Rule, kind and what the kind needs, in groups. */
export const GROUPS = {
  shown: [['display_name', 'text'], ['visibility', 'choice', ['private', 'public']], ['mode', 'choice', ['live', 'shadow', 'frozen']], ['ranking', 'choice', ['competition', 'dense', 'ordinal']]],
  scores: [
    ['aggregation', 'choice', ['sum', 'best', 'latest']], ['order', 'choice', ['desc', 'asc']], ['scale', 'number'],
    ['tie_break', 'choice', ['none', 'earliest', 'granted_at']], ['group', 'text'],
  ],
  windows: [
    ['periods', 'several', ['year', 'quarter', 'month', 'week', 'day', 'hour']], ['timezone', 'required'], ['day_starts', 'required'],
    ['week_starts', 'choice', WEEKDAYS], ['seasons', 'lines', ['name', 'starts', 'ends']],
  ],
  limits: [
    ['amount_min', 'number'], ['amount_max', 'number'], ['velocity', 'lines', ['per', 'max_grants', 'max_amount']],
    ['suspicious', 'choice', ['reject', 'quarantine']], ['accept_past', 'text'], ['accept_future', 'text'],
  ],
  extras: [
    ['category_boards', 'flag'], ['streaks', 'flag'], ['statistics', 'flag'], ['bounded_sums', 'flag'], ['bands', 'lines', ['name', 'up_to']],
  ],
};

/**
 * The fields of some rules. Which of them are locked, only the server's answer to a change tells.
 * @returns {{element: HTMLElement, read: () => any, mark: (problem: any) => boolean, clear: () => void}}
 *   mark: puts a problem beside the field that it names, and answers whether there is one
 */
export function ruleFields(rules) {
  const fields = new Map();
  const groups = Object.entries(GROUPS).map(([group, rows]) => el('fieldset', {}, el('legend', {}, say(`groups.${group}`)), rows.map(([name, kind, more]) => {
    const field = new RuleField(name, kind, more, rules[name]);
    fields.set(name, field);
    return field.element;
  })));
  return {
    element: el('div', { className: 'rule-groups' }, groups),
    read: () => Object.fromEntries([...fields].map(([name, field]) => [name, field.read()])),
    mark: (problem) => fields.get(/^\$\.(\w+)/.exec(problem.field ?? '')?.[1])?.mark(problem) ?? false,
    clear: () => { for (const field of fields.values()) field.clear(); },
  };
}

class RuleField {
  #kind;
  #more;
  #name;
  #value;
  #input;
  #why;

  constructor(name, kind, more, value) {
    [this.#name, this.#kind, this.#more, this.#value] = [name, KINDS[kind], more, value];
    this.#input = this.#kind.make(value, more);
    this.#why = el('small', { className: 'bad', id: `why-${name}`, role: 'alert' });
    const hint = el('small', { id: `hint-${name}` }, say(`ruleHints.${name}`));
    const control = this.#input.matches('input, select, textarea') ? this.#input : null;
    const title = [say(`ruleNames.${name}`), ' ', el('code', { 'aria-hidden': 'true' }, name)];
    for (const one of control ? [control] : this.#input.querySelectorAll('input')) one.name = name;
    (control ?? this.#input).setAttribute('aria-describedby', `${hint.id} ${this.#why.id}`);
    if (control) {
      control.id = `rule-${name}`;
      this.element = el('div', { className: kind === 'flag' ? 'field flag' : 'field' }, el('label', { htmlFor: control.id }, title), control, hint, this.#why);
    } else {
      this.#input.setAttribute('aria-label', say(`ruleNames.${name}`));
      this.element = el('div', { className: 'field' }, el('span', { className: 'label' }, title), this.#input, hint, this.#why);
    }
  }

  /** The value; of an untouched list that is null, null. */
  read() {
    const value = this.#kind.read(this.#input, this.#more);
    return this.#value === null && Array.isArray(value) && !value.length && this.#name === 'velocity' ? null : value;
  }

  mark({ code, detail, message }) {
    this.#why.textContent = code === 'rule_locked' ? `🔒 ${say('locked')} ${detail}` : detail ?? message;
    this.#control().setAttribute('aria-invalid', 'true');
    this.#control().focus();
    return true;
  }

  clear() {
    this.#why.textContent = '';
    this.#control().removeAttribute('aria-invalid');
  }

  #control() {
    return this.#input.matches('input, select, textarea') ? this.#input : this.#input.querySelector('input');
  }
}

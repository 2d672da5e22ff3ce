// A user's grants on a board: what each adds, which of them count; some or many can be selected and corrected.
import { button, el, field, link, number, select, table, time } from './dom.js';
import { add } from './score.js';
import { say } from './text.js';

/** Rows that are drawn at once. Selections reach all. */
const ROWS = 200;

export class GrantTable {
  #rows = [];
  #shown = ROWS;
  #selected = new Set();
  #rules;
  #namespace;
  #onCorrect;
  #list = el('div', {});
  #bar = el('div', { className: 'bar', role: 'group', 'aria-label': say('selection') });
  #filters;
  #inputs;

  /** onCorrect(kind, grants): asks for a correction. */
  constructor({ rules, namespace, onCorrect }) {
    this.#rules = rules;
    this.#namespace = namespace;
    this.#onCorrect = onCorrect;
    const again = () => { this.#shown = ROWS; this.#draw(); };
    const moment = (name) => el('input', { type: 'datetime-local', step: 1, name, oninput: again });
    this.#inputs = {
      source: select([[say('anySource'), '']], '', { name: 'source', onchange: again }),
      least: el('input', { inputMode: 'decimal', name: 'least', oninput: again }),
      from: moment('from'), until: moment('until'),
    };
    const { source, least, from, until } = this.#inputs;
    this.#filters = el('details', {}, el('summary', {}, say('filter')), el('div', { className: 'find' },
      field(say('source'), source), field(say('least'), least), field(say('from'), from), field(say('until'), until)));
    this.element = el('div', {}, this.#filters, this.#bar, this.#list);
  }

  /** rows: {grant, value, counts}, the newest first. The selection goes on where its grants are still live. */
  show(rows) {
    this.#rows = rows;
    const live = new Set(rows.filter(({ grant }) => !grant.voided).map(({ grant }) => grant.grant_id));
    this.#selected = new Set([...this.#selected].filter((id) => live.has(id)));
    const sources = [...new Set(rows.map(({ grant }) => grant.source ?? ''))].filter(Boolean);
    const { source } = this.#inputs;
    const { value } = source;
    source.replaceChildren(new Option(say('anySource'), ''), ...sources.map((name) => new Option(name, name)));
    source.value = sources.includes(value) ? value : '';
    this.#draw();
  }

  /** Selects these and no others, and shows them first. */
  select(grants) {
    this.#selected = new Set(grants.map(({ grant_id: id }) => id));
    this.#draw();
    if (grants.length) this.#bar.querySelector('button')?.focus();
  }

  #visible() {
    const { source, least, from, until } = this.#inputs;
    const [since, before] = [from, until].map((input) => (input.value ? new Date(input.value).getTime() : null));
    const bound = least.value === '' ? null : Number(least.value);
    return this.#rows.filter(({ grant }) => (!source.value || grant.source === source.value)
      && (bound === null || Number.isNaN(bound) || grant.amount >= bound)
      && (since === null || Date.parse(grant.granted_at) >= since)
      && (before === null || Date.parse(grant.granted_at) < before));
  }

  #draw() {
    const rows = this.#visible();
    const { aggregation } = this.#rules;
    this.#drawBar(rows);
    const drawn = rows.slice(0, this.#shown).map((row) => this.#row(row));
    const all = el('input', { type: 'checkbox', 'aria-label': say('selectShown'), checked: this.#isAll(rows) });
    all.onchange = () => {
      for (const { grant } of rows) {
        if (grant.voided) continue;
        if (all.checked) this.#selected.add(grant.grant_id);
        else this.#selected.delete(grant.grant_id);
      }
      this.#draw();
      this.#list.querySelector('th input')?.focus();
    };
    const heads = [el('label', { className: 'check' }, all), say('at'), say('amount'), say(`running.${aggregation}`), say('source'), say('state'), say('grant'), ''];
    const rest = rows.length - drawn.length;
    this.#list.replaceChildren(
      table(say('grants', { n: rows.length }), heads, drawn),
      rest > 0 ? button(say('moreRows', { n: rest }), () => { this.#shown += ROWS; this.#draw(); }) : '');
  }

  #isAll(rows) {
    const live = rows.filter(({ grant }) => !grant.voided);
    return live.length > 0 && live.every(({ grant }) => this.#selected.has(grant.grant_id));
  }

  #row({ grant, value, counts }) {
    const { grant_id: id } = grant;
    const check = el('input', { type: 'checkbox', checked: this.#selected.has(id), disabled: grant.voided, 'aria-label': say('selectOne', { id }) });
    check.onchange = () => {
      if (check.checked) this.#selected.add(id);
      else this.#selected.delete(id);
      check.closest('tr').className = check.checked ? 'mine' : '';
      this.#drawBar(this.#visible());
    };
    const state = grant.quarantined ? 'quarantined' : grant.voided ? 'voided' : counts ? 'counts' : 'countsNot';
    const kinds = grant.quarantined ? ['approve', 'void'] : grant.voided ? ['restore'] : ['void', 'edit'];
    const tone = grant.voided ? 'void' : this.#selected.has(id) ? 'mine' : '';
    return Object.assign([
      el('label', { className: 'check' }, check), time(grant.granted_at), number(grant.amount), number(value),
      [grant.source, grant.source_id, grant.category].filter(Boolean).join(' · ') || '—', say(state),
      link(id, 'moderate', this.#namespace, 'grant', id),
      el('span', { className: 'buttons' }, kinds.map((kind) => button(say(`acts.${kind}`), () => this.#onCorrect(kind, [grant]), { 'aria-label': `${say(`acts.${kind}`)} ${id}` }))),
    ], { tone });
  }

  #drawBar(rows) {
    const chosen = this.#rows.filter(({ grant }) => this.#selected.has(grant.grant_id)).map(({ grant }) => grant);
    this.#bar.hidden = !chosen.length;
    if (!chosen.length) return;
    const outside = chosen.length - rows.filter(({ grant }) => this.#selected.has(grant.grant_id)).length;
    this.#bar.replaceChildren(
      button(say('voidSelected', { n: chosen.length }), () => this.#onCorrect('void', chosen), { className: 'danger' }),
      el('span', {}, say('selected', { n: chosen.length, sum: number(add(...chosen.map(({ amount }) => amount))) }), outside ? ` ${say('outside', { n: outside })}` : ''),
      button(say('selectNone'), () => { this.select([]); }));
  }
}

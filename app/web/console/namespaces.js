// Namespaces: the list, and the rules of one as fields or as JSON; made and deleted.
import { call } from './api.js';
import { el, field, line, link, table } from './dom.js';
import { ruleFields } from './rule_fields.js';
import { say } from './text.js';

/** What the server tells beside the rules. */
const NOT_RULES = new Set(['name', 'resets', 'move']);

export async function namespaces(main, { go, run, tell, address: [name = ''] }) {
  const list = (await call('GET', ['namespaces'], { query: { prefix: '' } })).namespaces;
  const made = el('input', { name: 'name', required: true, pattern: '[A-Za-z0-9._\\-]{1,64}', dir: 'ltr' });
  const make = line(() => run(async () => {
    // A PUT replaces: a namespace that is there would lose its rules.
    if (list.some((one) => one.name === made.value)) return go('namespaces', made.value);
    await call('PUT', ['namespaces', made.value], { body: {} });
    go('namespaces', made.value);
  }), field(say('newName'), made, say('nameHint')), el('button', { type: 'submit' }, say('create')));
  const overview = table(say('places.namespaces'), [say('name'), say('ruleNames.display_name'), say('visibility'), say('mode')], list.map((one) => [
    link(one.name, 'namespaces', one.name), one.display_name, say(`values.${one.visibility}`), say(`values.${one.mode}`)]));
  if (!name) return main.append(make, overview);
  const answer = await call('GET', ['namespaces', name]);
  main.append(
    el('p', {}, link(`← ${say('places.namespaces')}`, 'namespaces')),
    el('h2', {}, el('bdi', {}, answer.display_name ?? name), ' ', el('small', {}, el('bdi', {}, name))),
    ...forms(name, answer, { run, tell, go }), removal(name, { run, tell, go }));
  return undefined;
}

const rulesIn = (answer) => Object.fromEntries(Object.entries(answer).filter(([rule]) => !NOT_RULES.has(rule)));

/** The form of fields, and that of JSON. After a change both are drawn anew from the server's answer. */
function forms(name, answer, { run, tell, go }) {
  const rules = rulesIn(answer);
  const fields = ruleFields(rules);
  const text = el('textarea', { rows: 18, spellcheck: false, name: 'rules', dir: 'ltr', value: JSON.stringify(rules, null, 2) });
  const why = el('p', { className: 'bad', role: 'alert' });

  async function save(read) {
    fields.clear();
    why.textContent = '';
    let changed = [];
    const isSaved = await run(async () => {
      try {
        const now = rulesIn(await call('PUT', ['namespaces', name], { body: read() }));
        changed = Object.keys(now).filter((rule) => JSON.stringify(now[rule]) !== JSON.stringify(rules[rule]));
      } catch (problem) {
        if (!fields.mark(problem)) why.textContent = problem.detail ?? problem.message;
        throw problem;
      }
    });
    if (!isSaved) return;
    const said = changed.length ? say('saved', { names: changed.map((rule) => say(`ruleNames.${rule}`)).join(', ') }) : say('savedSame');
    Object.assign(rules, rulesIn(await call('GET', ['namespaces', name])));
    text.value = JSON.stringify(rules, null, 2);
    tell(said, 'good');
    if (changed.length) go('namespaces', name);
  }

  const form = el('form', { className: 'card', autocomplete: 'off', noValidate: true, onsubmit: (event) => { event.preventDefault(); save(() => ({ ...rules, ...fields.read() })); } },
    fields.element, why, el('button', { type: 'submit', className: 'first' }, say('save')));
  const json = el('form', { className: 'card', autocomplete: 'off', onsubmit: (event) => { event.preventDefault(); save(() => JSON.parse(text.value)); } },
    el('details', {}, el('summary', {}, say('rulesJson')), field(say('rules'), text, say('rulesHint')), el('button', { type: 'submit' }, say('save'))));
  return [form, json];
}

/** Deleting, which its name has to confirm. */
function removal(name, { run, tell, go }) {
  const confirm = el('input', { name: 'confirm', autocomplete: 'off', dir: 'ltr' });
  const deed = el('button', { type: 'submit', className: 'danger', disabled: true }, say('remove'));
  confirm.oninput = () => { deed.disabled = confirm.value !== name; };
  return el('form', {
    className: 'card', autocomplete: 'off',
    onsubmit: async (event) => {
      event.preventDefault();
      if (confirm.value !== name) return;
      const isGone = await run(() => call('DELETE', ['namespaces', name], { query: { confirm: name } }));
      if (!isGone) return;
      go('namespaces');
      tell(say('removed', { name }), 'good');
    },
  }, el('details', {}, el('summary', {}, say('remove')), field(say('removeHint', { name }), confirm), deed));
}

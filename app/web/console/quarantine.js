// What waits for a decision, the oldest first.
import { call } from './api.js';
import { correctionForm, reverseOf } from './correction.js';
import { button, el, field, link, number, select, span, table, time } from './dom.js';
import { rulesOf } from './ledger.js';
import { playerLink } from './moderate.js';
import { say } from './text.js';

/** The namespace that a place is about: a choice that changes the address. */
export function chooser(place, namespace, names, go) {
  const options = names.map(({ name, display_name: title }) => [title ? `${title} (${name})` : name, name]);
  if (namespace && !names.some(({ name }) => name === namespace)) options.unshift([namespace, namespace]);
  const input = select(options, namespace, { name: 'namespace', onchange: () => go(place, input.value) });
  return field(say('namespace'), input);
}

export async function quarantine(main, { go, run, names, address: [namespace = names[0]?.name ?? ''] }) {
  const [list, form, proof] = Array.from({ length: 3 }, () => el('div', {}));
  main.append(el('div', { className: 'find' }, chooser('quarantine', namespace, names, go)), proof, form, list);
  if (!namespace) return main.append(el('p', {}, say('noNamespace')));
  const rules = await rulesOf(namespace);

  async function show(cursor) {
    const answer = await call('GET', ['namespaces', namespace, 'grants'], { query: { state: 'quarantined', limit: 50, ...(cursor ? { cursor } : {}) } });
    if (!cursor) list.replaceChildren();
    if (!cursor && !answer.grants.length) list.append(el('p', {}, say('none')));
    else list.append(table(say('places.quarantine'), [say('recorded'), say('age'), say('user'), say('amount'), say('source'), say('grant'), ''], answer.grants.map((grant) => [
      time(grant.recorded_at), span(Date.now() - Date.parse(grant.recorded_at)), playerLink(namespace, grant.user_id), number(grant.amount),
      grant.source, link(grant.grant_id, 'moderate', namespace, 'grant', grant.grant_id),
      el('span', { className: 'buttons' }, ['approve', 'void'].map((kind) => button(say(`acts.${kind}`), () => decide(kind, [grant])))),
    ])));
    if (answer.next_cursor) {
      const more = button(say('more'), () => run(async () => { more.remove(); await show(answer.next_cursor); }));
      list.append(more);
    }
  }

  function decide(kind, grants, options = {}) {
    proof.replaceChildren();
    const close = () => form.replaceChildren();
    const done = async (shown) => { close(); proof.replaceChildren(shown); await show(); };
    const undo = (act) => { const back = reverseOf(act); decide(back.kind, back.grants, back.options); };
    form.replaceChildren(correctionForm(kind, namespace, rules, grants, { run, done, cancel: close, undo, ...options }));
    form.scrollIntoView({ block: 'nearest' });
  }

  return show();
}

// What waits for a decision, and what happened.
import { call } from './api.js';
import { correctionForm } from './correction.js';
import { button, el, field, number, table, time } from './dom.js';
import { TEXT as t } from './text_en.js';

/** The namespace that a place is about: a choice that changes the address. */
function chooser(place, namespace, names, go) {
  const select = el('select', { name: 'namespace', onchange: () => go(place, select.value) }, names.map((name) => new Option(name, name)));
  if (namespace && !names.includes(namespace)) select.prepend(new Option(namespace, namespace));
  select.value = namespace;
  return field(t.namespace, select);
}

/** Open quarantine, oldest first. */
export async function quarantine(main, { go, run, names, address: [namespace = names[0] ?? ''] }) {
  const list = el('div', {});
  const form = el('div', {});
  const proof = el('div', {});
  main.append(chooser('quarantine', namespace, names, go), proof, form, list);

  async function show(cursor) {
    const answer = await call('GET', ['namespaces', namespace, 'grants'], { query: { state: 'quarantined', limit: 50, ...(cursor ? { cursor } : {}) } });
    if (!cursor) list.replaceChildren();
    if (!cursor && !answer.grants.length) list.append(el('p', {}, t.none));
    else list.append(table(t.places.quarantine, [t.recorded, t.user, t.amount, t.source, t.grant, ''], answer.grants.map((grant) => [
      time(grant.recorded_at), button(grant.user_id, () => go('moderate', namespace, 'user', grant.user_id), { className: 'link' }), number(grant.amount),
      grant.source, button(grant.grant_id, () => go('moderate', namespace, 'grant', grant.grant_id), { className: 'link' }),
      el('span', { className: 'buttons' }, button(t.approve, () => decide('restore', grant, t.approve)), button(t.void, () => decide('void', grant, t.void))),
    ])));
    if (answer.next_cursor) {
      const more = button(t.more, () => run(async () => { more.remove(); await show(answer.next_cursor); }));
      list.append(more);
    }
  }

  function decide(kind, grant, verb) {
    proof.replaceChildren();
    const done = async (shown) => { form.replaceChildren(); proof.replaceChildren(shown); await show(); };
    form.replaceChildren(correctionForm(kind, namespace, grant, { run, done, verb, cancel: () => form.replaceChildren() }));
  }

  if (namespace) await show();
  else main.append(el('p', {}, t.none));
}

/** The audit stream, oldest first; it goes on from where it was. */
export async function events(main, { go, run, names, address: [namespace = names[0] ?? '', type = '', actor = ''] }) {
  const list = el('div', {});
  const [kind, by] = [el('input', { name: 'type', value: type }), el('input', { name: 'actor', value: actor })];
  let after;
  async function next() {
    const query = { limit: 100, ...(type ? { type } : {}), ...(actor ? { actor } : {}), ...(after ? { after } : {}) };
    const answer = await call('GET', ['namespaces', namespace, 'events'], { query });
    after = answer.next_after ?? after;
    const rows = answer.events.map(({ at, type: name, actor: who, user_id, grant_id, ...rest }) => {
      const details = Object.entries(rest).filter(([, value]) => value !== null).map(([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : value}`);
      return [time(at), name, who, user_id, grant_id ? button(grant_id, () => go('moderate', namespace, 'grant', grant_id), { className: 'link' }) : '—', details.join(', ')];
    });
    list.append(rows.length ? table(t.places.events, [t.at, t.type, t.actor, t.user, t.grant, t.what], rows) : el('p', { className: 'soft' }, t.none));
  }
  main.append(chooser('events', namespace, names, go), el('form', {
    className: 'find', autocomplete: 'off', onsubmit: (event) => { event.preventDefault(); go('events', namespace, kind.value, by.value); },
  }, field(t.type, kind), field(t.actor, by), el('button', { type: 'submit' }, t.find)), list, button(t.follow, () => run(next)));
  if (namespace) await next();
}

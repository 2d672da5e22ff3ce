// API keys: made, rotated, revoked.
import { call } from './api.js';
import { button, copyButton, el, field, line, table, time } from './dom.js';
import { say } from './text.js';

export async function keys(main, { run }) {
  const list = el('div', {});
  const fresh = el('div', { role: 'status' });
  const [name, scopes] = [el('input', { name: 'name' }), el('input', { name: 'scopes', required: true, placeholder: 'read:* write:f1-*', dir: 'ltr' })];
  const tell = (answer) => fresh.replaceChildren(el('p', { className: 'good' }, `${say('once')} `, el('code', {}, answer.key), ' ', copyButton(say('copyKey'), () => answer.key)));

  async function show(cursor) {
    const answer = await call('GET', ['keys'], { query: { limit: 100, ...(cursor ? { cursor } : {}) } });
    if (!cursor) list.replaceChildren();
    list.append(table(say('places.keys'), [say('id'), say('name'), say('may'), say('made'), say('state'), ''], answer.keys.map((key) => [
      key.id, key.name, key.scopes.join(' '), time(key.created_at), key.revoked_at ? say('revoked') : key.is_own ? say('own') : say('valid'), acts(key)])));
    if (answer.next_cursor) {
      const more = button(say('more'), () => run(async () => { more.remove(); await show(answer.next_cursor); }));
      list.append(more);
    }
  }

  function acts(key) {
    if (key.revoked_at || key.is_own) return '—';
    const grace = el('input', { type: 'number', min: 0, max: 86_400, value: '600', 'aria-label': `${say('grace')} ${key.id}` });
    const rotate = async () => { tell(await call('POST', ['keys', key.id, 'rotate'], { body: { grace_s: Number(grace.value) } })); await show(); };
    let isSure = false;
    const revoke = button(say('revoke'), () => {
      if (isSure) return run(async () => { await call('DELETE', ['keys', key.id]); await show(); });
      isSure = true;
      revoke.textContent = say('revokeSure');
      revoke.setAttribute('aria-label', `${say('revokeSure')} ${key.id}`);
    }, { className: 'danger', 'aria-label': `${say('revoke')} ${key.id}`, onblur: () => { isSure = false; revoke.textContent = say('revoke'); } });
    return el('span', { className: 'buttons' }, grace, button(say('rotate'), () => run(rotate), { 'aria-label': `${say('rotate')} ${key.id}` }), revoke);
  }

  main.append(line(() => {
    const body = { scopes: scopes.value.trim().split(/\s+/), ...(name.value ? { name: name.value } : {}) };
    run(async () => { tell(await call('POST', ['keys'], { body })); await show(); });
  }, field(say('name'), name), field(say('scopes'), scopes), el('button', { type: 'submit', className: 'first' }, say('createKey'))), fresh, list);
  await show();
}

// What was done in this tab, so that it can be undone: the last acts, newest first.

const ACTS_MAX = 20;
const GRANTS_MAX = 5_000;
const STORAGE = 'console-acts';
let acts = [];
try { acts = JSON.parse(sessionStorage.getItem(STORAGE) ?? '[]'); } catch { /* Storage is forbidden, or holds something else. */ }
let listener = () => {};

export const onAct = (callback) => { listener = callback; callback(acts); };

/**
 * Notes an act. act: {kind: 'void' | 'restore' | 'edit' | 'hide' | 'unhide', namespace, user, reason,
 * grants: [{grant_id, revision, amount}] as they are behind it; previous: amounts before an edit}.
 */
export function noteAct(act) {
  if ((act.grants?.length ?? 0) > GRANTS_MAX) return null;
  const noted = { ...act, id: Date.now(), at: new Date().toISOString(), isUndone: false };
  acts = [noted, ...acts].slice(0, ACTS_MAX);
  keep();
  return noted;
}

export function markUndone(id) {
  acts = acts.map((act) => (act.id === id ? { ...act, isUndone: true } : act));
  keep();
}

export const actById = (id) => acts.find((act) => String(act.id) === String(id));

export function forgetActs() {
  acts = [];
  keep();
}

function keep() {
  try { sessionStorage.setItem(STORAGE, JSON.stringify(acts)); } catch { /* Then a reload forgets them. */ }
  listener(acts);
}

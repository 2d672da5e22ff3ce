// What is known of one user: ranks in every window, the streak, and the grants that make the score.
import { Leaderboard } from '/clients/live.js';

const GRANTS = 20; // A page of them.
const REFRESH_MS = 15_000; // While it is open and looked at.

export class Drawer {
  #dialog;
  #owner;
  #timer = 0;
  #question = null; // {client, entry, namespace, window, words}: what is shown; another one has other answers.

  /** owner: onAround(user) when their neighbours are asked for. */
  constructor(dialog, owner) {
    this.#dialog = dialog;
    this.#owner = owner;
    this.#find('close').onclick = () => dialog.close();
    dialog.onclick = (event) => event.target === dialog && dialog.close(); // Beside it.
    dialog.onclose = () => {
      this.#question = null;
      clearInterval(this.#timer);
    };
  }

  open(entry, { namespace, window, token, words }) {
    const question = { client: new Leaderboard({ url: location.origin, token }), entry, namespace, window, words, token };
    this.#question = question;
    this.#find('title').firstChild.textContent = entry.display_name || entry.user_id;
    this.#find('user').firstChild.textContent = entry.display_name ? entry.user_id : '';
    this.#find('around').textContent = words.say('page.around');
    this.#find('around').onclick = () => {
      this.#dialog.close();
      this.#owner.onAround(entry.user_id);
    };
    for (const part of ['ranks', 'grants', 'streak', 'note']) this.#find(part).replaceChildren();
    this.#find('more').hidden = true;
    this.#dialog.showModal();
    this.#find('title').focus();
    this.#showRanks(question);
    this.#showGrants(question);
    clearInterval(this.#timer);
    this.#timer = setInterval(() => document.hidden || this.#refresh(question), REFRESH_MS);
  }

  #refresh(question) {
    this.#showRanks(question);
    // Whoever has turned pages reads on in the list as it was.
    if (question.token && !question.hasTurned) this.#showGrants(question);
  }

  async #showRanks(question) {
    const { client, namespace, entry, words } = question;
    const user = await this.#ask(question, client.user(namespace.name, entry.user_id));
    if (!user) return;
    const rows = Object.entries(user.ranks).filter(([, rank]) => rank).map(([period, rank]) => {
      const gap = rank.gap_to_next;
      const hint = gap === null || gap === undefined ? 'page.leads' : 'page.toNext';
      const place = element('dd', `${words.count(rank.rank)} · ${words.score(rank.score, namespace.scale)}`);
      place.append(element('small', words.say(hint, { score: words.score(gap ?? 0, namespace.scale) })));
      return element('div', '', element('dt', words.window(period)), place);
    });
    this.#find('ranks').replaceChildren(...rows);
    if (!user.streak) return;
    const { current, best } = user.streak;
    this.#find('streak').textContent = `${words.say('page.streak', { n: current })} · ${words.say('page.best', { n: best })}`;
  }

  async #showGrants(question, cursor) {
    const { client, namespace, window, entry, words, token } = question;
    const note = this.#find('note');
    if (!token) return void (note.textContent = words.say('page.reasonsNeedKey'));
    if (cursor) {
      question.hasTurned = true;
      this.#find('more').hidden = true;
    }
    const page = await this.#ask(question, client.explain(namespace.name, entry.user_id, { window, cursor, limit: GRANTS }));
    if (!page || (!cursor && question.hasTurned)) return undefined;
    if (!cursor) this.#find('grants').replaceChildren();
    this.#find('grants').append(...page.grants.map((grant) => {
      const why = [grant.source, grant.action, grant.category].filter(Boolean).join(' · ') || grant.grant_id;
      const when = element('small', words.moment(grant.granted_at));
      return element('li', '', element('bdi', why), element('b', words.score(grant.amount, namespace.scale)), when);
    }));
    const isEmpty = !page.grants.length && !cursor;
    note.textContent = isEmpty ? words.say('page.noReasons') : page.lag_seq ? words.say('page.behind', { n: page.lag_seq }) : '';
    this.#find('more').hidden = !page.next_cursor;
    this.#find('more').onclick = () => this.#showGrants(question, page.next_cursor);
    return undefined;
  }

  /** The answer; null if it failed, which is said, or if another user is shown by now. */
  async #ask(question, call) {
    const { words } = question;
    try {
      const answer = await call;
      return question === this.#question ? answer : null;
    } catch (problem) {
      if (question !== this.#question) return null;
      const isGone = problem.code === 'user_not_found';
      const why = words.say(`problems.${problem.code}`) || problem.detail || problem.message;
      this.#find('note').textContent = isGone ? words.say('page.unknown') : words.say('page.failed', { why });
      return null;
    }
  }

  #find(name) {
    return document.getElementById(`drawer-${name}`);
  }
}

function element(tag, text, ...children) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

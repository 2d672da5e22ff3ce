// The search for a user of the board, as a combobox: what is found is chosen by keys as well.
import { Leaderboard } from '/clients/live.js';

const CHARS_MIN = 2;
const USERS_MAX = 8;
const PAUSE_MS = 250; // After the last key.
const AGAIN_MS = 1_000;

export class Search {
  #find;
  #onUser;
  #choice = null;
  #timer = 0;
  #isAsking = false;
  #users = [];
  #answered = ''; // What the list is the answer to.
  #active = -1;

  /** find(id): an element of the page; onUser(user id): one was chosen. */
  constructor(find, onUser) {
    this.#find = (name) => find(`search-${name}`);
    this.#onUser = onUser;
    const input = this.#find('q');
    input.oninput = () => this.#plan(PAUSE_MS);
    input.onkeydown = (event) => this.#onKey(event);
    input.onfocus = () => { if (input.value.trim() !== this.#answered) this.#plan(0); else if (this.#answered) this.#show(true); };
    input.onblur = () => this.#show(false);
    this.#find('list').onpointerdown = (event) => event.preventDefault(); // The focus stays where it is.
    this.#find('list').onclick = (event) => this.#take([...this.#find('list').children].indexOf(event.target.closest('li')));
  }

  choose(choice) {
    const isOther = this.#choice && (this.#choice.namespace.name !== choice.namespace.name || this.#choice.token !== choice.token);
    this.#choice = choice;
    if (isOther) this.#clear();
  }

  #clear() {
    clearTimeout(this.#timer);
    this.#find('q').value = '';
    [this.#users, this.#answered] = [[], ''];
    this.#say('');
    this.#show(false);
  }

  #plan(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), ms);
  }

  /** One request at a time: what was typed meanwhile is asked for when it is answered. */
  async #ask() {
    const [q, { namespace, token, words }] = [this.#find('q').value.trim(), this.#choice];
    if (this.#isAsking || q === this.#answered) return;
    if ([...q].length < CHARS_MIN) {
      [this.#users, this.#answered] = [[], ''];
      this.#say(q && words.say('search.more'));
      return void this.#show(Boolean(q));
    }
    this.#isAsking = true;
    const client = new Leaderboard({ url: location.origin, token });
    const call = client.request('GET', ['v1', 'namespaces', namespace.name, 'users'], { query: { q, limit: USERS_MAX }, retry: false });
    const answer = await call.catch((problem) => problem);
    this.#isAsking = false;
    if (this.#choice.namespace.name !== namespace.name || this.#choice.token !== token) return void this.#plan(0);
    const isFailed = answer instanceof Error;
    this.#users = isFailed ? [] : answer.users;
    this.#answered = isFailed ? '' : q;
    const why = isFailed && (words.say(`problems.${answer.code}`) || answer.detail || answer.message);
    const passes = isFailed && (answer.status === 429 || answer.status === 0 || answer.status >= 500);
    this.#say(isFailed ? words.say('search.failed', { why }) : words.say(this.#users.length ? 'search.count' : 'search.nobody', { n: this.#users.length }), isFailed || !this.#users.length);
    this.#draw();
    this.#show(document.activeElement === this.#find('q'));
    if (passes) this.#plan(Math.max(AGAIN_MS, answer.retryAfterMs ?? 3_000));
    else if (!isFailed && this.#find('q').value.trim() !== q) this.#plan(0);
  }

  #draw() {
    this.#find('list').replaceChildren(...this.#users.map((user, i) => {
      const [item, name, id] = ['li', 'bdi', 'bdi'].map((tag) => document.createElement(tag));
      name.textContent = user.display_name || user.user_id;
      id.textContent = user.display_name ? user.user_id : '';
      id.className = 'quiet';
      Object.assign(item, { id: `search-${i}`, role: 'option', ariaSelected: 'false' });
      item.append(name, id);
      return item;
    }));
    this.#active = -1;
    this.#find('q').removeAttribute('aria-activedescendant');
  }

  #onKey(event) {
    const { key } = event;
    if (key === 'Escape') return void (this.#find('box').hidden ? this.#clear() : this.#show(false));
    if (key === 'Enter') {
      event.preventDefault();
      return void this.#take(this.#active < 0 && this.#users.length === 1 ? 0 : this.#active);
    }
    if ((key !== 'ArrowDown' && key !== 'ArrowUp') || !this.#users.length) return undefined;
    event.preventDefault();
    this.#show(true);
    const n = this.#users.length;
    const next = key === 'ArrowDown' ? this.#active + 1 : this.#active < 0 ? n - 1 : this.#active - 1;
    this.#active = (next + n) % n;
    [...this.#find('list').children].forEach((item, i) => { item.ariaSelected = String(i === this.#active); });
    this.#find('q').setAttribute('aria-activedescendant', `search-${this.#active}`);
    this.#find('list').children[this.#active].scrollIntoView({ block: 'nearest' });
    return undefined;
  }

  #take(index) {
    const user = this.#users[index];
    if (!user) return;
    this.#clear();
    this.#draw();
    this.#onUser(user.user_id);
  }

  /** Said aloud always; shown where there is nothing else to show. */
  #say(text, isShown = true) {
    this.#find('note').textContent = text;
    this.#find('note').classList.toggle('unseen', !isShown);
  }

  #show(isOpen) {
    this.#find('box').hidden = !isOpen;
    this.#find('list').hidden = !this.#users.length;
    this.#find('q').ariaExpanded = String(isOpen && this.#users.length > 0);
  }
}

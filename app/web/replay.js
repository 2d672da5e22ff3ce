// The board as it was: a slider over time. The element shows it by `as-of`; at the end it is live again.

const DAY_MS = 86_400_000;
/** What is looked back at, at most: the server works an older board out of more and more entries. */
const SPAN_MS_MAX = 30 * DAY_MS;
/** Places of the slider. */
const STEPS = 100;
/** Between two steps of a replay that plays, so that rows arrive before they move on. */
const PACE_MS = 900;

export class Replay {
  #section;
  #button;
  #choice = null; // See app.js.
  #starts = 0;
  #ends = 0;
  #timer = 0;

  constructor(section, button) {
    this.#section = section;
    this.#button = button;
    button.onclick = () => (this.#section.hidden ? this.#open() : this.#close());
    this.#find('close').onclick = () => this.#close();
    this.#find('play').onclick = () => this.#play(!this.#timer);
    this.#find('time').oninput = () => {
      this.#play(false);
      this.#seek();
    };
    document.addEventListener('page-choice', ({ detail }) => this.#choose(detail));
  }

  #choose(choice) {
    const key = ({ namespace, window, category, token }) => JSON.stringify([namespace.name, window, category, token]);
    const isOther = !this.#choice || key(choice) !== key(this.#choice);
    this.#choice = choice;
    if (isOther && !this.#section.hidden) this.#close();
  }

  #open() {
    const { element, namespace } = this.#choice ?? {};
    const { board } = element ?? {};
    if (!namespace || !board) return;
    this.#ends = Math.min(Date.now(), board.ends ? Date.parse(board.ends) : Infinity);
    this.#starts = Math.max(this.#ends - SPAN_MS_MAX, board.starts ? Date.parse(board.starts) : -Infinity);
    const time = this.#find('time');
    [time.max, time.value] = [STEPS, STEPS];
    this.#section.hidden = false;
    this.#button.ariaExpanded = 'true';
    this.#play(false);
    this.#seek();
    time.focus({ preventScroll: true });
  }

  #close() {
    this.#play(false);
    this.#choice.element.removeAttribute('as-of');
    this.#section.hidden = true;
    this.#button.ariaExpanded = 'false';
    this.#button.focus();
  }

  #seek() {
    const { element, words } = this.#choice;
    const time = this.#find('time');
    const moment = new Date(this.#starts + ((this.#ends - this.#starts) * Number(time.value)) / STEPS).toISOString();
    element.setAttribute('as-of', moment);
    time.ariaValueText = this.#find('moment').textContent = words.moment(moment);
  }

  /** Plays on from where it is, or from the beginning if it is at the end. */
  #play(isOn) {
    clearInterval(this.#timer);
    const time = this.#find('time');
    if (isOn && Number(time.value) >= STEPS) time.value = 0;
    this.#timer = isOn ? setInterval(() => this.#step(), PACE_MS) : 0;
    this.#find('play').textContent = this.#choice?.words.say(isOn ? 'replay.pause' : 'replay.play') ?? '';
    if (isOn) this.#seek();
  }

  /** The next moment, once this one is shown. */
  #step() {
    const { element } = this.#choice;
    if (document.hidden || element.state.name === 'connecting' || element.state.name === 'reconnecting') return;
    const time = this.#find('time');
    if (element.state.name === 'stopped' || Number(time.value) >= STEPS) return void this.#play(false);
    time.value = Number(time.value) + 1;
    this.#seek();
  }

  #find(name) {
    return document.getElementById(`replay-${name}`);
  }
}

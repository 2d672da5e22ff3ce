// A dialog that gives the address of what is shown: as a QR code, to copy, and to the device's own way of sharing.
import { qrElement } from '/clients/qr.js';

export class Share {
  #dialog;
  #words = null;

  constructor(dialog) {
    this.#dialog = dialog;
    this.#find('close').onclick = () => dialog.close();
    dialog.onclick = (event) => event.target === dialog && dialog.close(); // Beside it.
    this.#find('link').onfocus = () => this.#find('link').select();
    this.#find('copy').onclick = () => this.#copy();
    this.#find('send').onclick = () => this.#send();
  }

  /** isPrivate: the address opens the board for those with a key alone. */
  open(words, { isPrivate }) {
    this.#words = words;
    // Without `?lang=`: the other one reads another language, perhaps.
    const url = location.origin + location.pathname + location.hash;
    const code = qrElement(url, words.say('share.code'));
    this.#find('code').replaceChildren(code ?? words.say('share.tooLong'));
    this.#find('link').value = url;
    this.#find('send').hidden = !navigator.share;
    this.#find('note').textContent = isPrivate ? words.say('share.isPrivate') : '';
    this.#dialog.showModal();
  }

  async #copy() {
    const link = this.#find('link');
    link.select();
    // A page without TLS has no clipboard, but may copy what is selected.
    const isDone = await (navigator.clipboard?.writeText(link.value) ?? Promise.reject(new Error()))
      .then(() => true, () => document.execCommand('copy'));
    this.#find('note').textContent = this.#words.say(isDone ? 'share.copied' : 'share.selected');
  }

  async #send() {
    try {
      await navigator.share({ title: document.title, url: this.#find('link').value });
    } catch (error) {
      if (error.name !== 'AbortError') await this.#copy(); // Else the reader thought better of it.
    }
  }

  #find(name) {
    return document.getElementById(`share-${name}`);
  }
}

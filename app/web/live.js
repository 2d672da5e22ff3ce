// The live protocol, without a page: one subscription, kept alive across drops and restarts.

const FINAL = { 4400: 'the server did not understand', 4001: 'the key is not valid', 4003: 'forbidden', 4013: 'over a limit' };
const PATIENT = new Set([4101, 4102, 4108, 4129]);

export class Live {
  // board: {namespace, window, limit}; token: an API key or ''; onChange(entries, info) after each frame;
  // onState('connecting' | 'live' | 'waiting' | 'stopped', why).
  constructor({ url, board, token, onChange, onState }) {
    Object.assign(this, { url, board, token, onChange, onState });
    this.entries = new Map();
    this.info = null;
    this.tries = 0;
    this.number = 0;
    this.connect();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  connect() {
    if (this.closed) return;
    this.onState('connecting', '');
    const socket = this.socket = new WebSocket(this.url, 'leaderboard.v1');
    socket.onopen = () => (this.token ? this.send({ type: 'auth', token: this.token }) : this.subscribe());
    socket.onmessage = (event) => this.socket === socket && this.receive(JSON.parse(event.data));
    socket.onclose = (event) => this.socket === socket && this.lost(event.code);
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  // An id of its own each time: frames of an older subscription still on their way are told apart by it.
  subscribe(fresh = false) {
    const { namespace, window, limit } = this.board;
    const held = this.info && !fresh ? { epoch: this.info.epoch, version: this.info.version } : {};
    if (this.number) this.send({ type: 'unsubscribe', id: this.number });
    this.number += 1;
    this.send({ type: 'subscribe', id: this.number, namespace, window, view: { kind: 'top', limit }, ...held });
  }

  receive(frame) {
    if (frame.id !== undefined && frame.id !== null && frame.id !== this.number) return;
    switch (frame.type) {
      case 'ready': return this.subscribe();
      case 'snapshot':
        this.entries = new Map(frame.entries.map((entry) => [entry.user_id, entry]));
        this.info = { epoch: frame.epoch, version: frame.version, total: frame.total, window: frame.window };
        return this.changed();
      case 'delta':
        if (!this.info || frame.from !== this.info.version) return this.subscribe(true);
        frame.remove.forEach((user) => this.entries.delete(user));
        frame.upsert.forEach((entry) => this.entries.set(entry.user_id, entry));
        Object.assign(this.info, { version: frame.version, total: frame.total });
        return this.changed();
      case 'uptodate': return this.changed();
      case 'drain': this.retry = frame.retry_ms * (1 + Math.random()); return undefined;
      case 'error':
        this.close();
        return this.onState('stopped', { unauthorized: 'this board needs a key', namespace_not_found: 'there is no such board' }[frame.code] ?? frame.code);
      default: return undefined;
    }
  }

  changed() {
    this.tries = 0;
    this.onState('live', '');
    this.onChange([...this.entries.values()].sort((a, b) => a.position - b.position), this.info);
  }

  lost(code) {
    if (this.closed) return;
    if (FINAL[code]) return this.onState('stopped', FINAL[code]);
    this.number = 0;
    const base = PATIENT.has(code) ? 5000 : 250;
    const wait = this.retry ?? Math.min(15000, base * 2 ** this.tries) * (0.5 + Math.random() / 2);
    this.retry = undefined;
    this.tries += 1;
    this.onState('waiting', `reconnecting in ${Math.ceil(wait / 1000)} s`);
    this.timer = setTimeout(() => this.connect(), wait);
    return undefined;
  }
}

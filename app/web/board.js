// Draws the rows of a board: what changed is lit up, and rows move to their new positions.

const calm = matchMedia('(prefers-reduced-motion: reduce)');

export class Board {
  constructor(body, template) {
    Object.assign(this, { body, template, rows: new Map() }); // user id → row
  }

  clear() {
    this.rows.clear();
    this.body.replaceChildren();
  }

  // entries: in the order of the list; rules: the namespace's, as far as they are known.
  draw(entries, { scale, order }) {
    const before = this.tops();
    const present = new Set(entries.map((entry) => entry.user_id));
    for (const [user, row] of this.rows) {
      if (present.has(user)) continue;
      row.element.remove();
      this.rows.delete(user);
    }
    const most = Math.max(...entries.map((entry) => entry.score));
    const digits = { minimumFractionDigits: scale ?? 0, maximumFractionDigits: scale ?? 6 };
    const scores = new Intl.NumberFormat(undefined, digits);
    entries.forEach((entry, index) => {
      const row = this.rows.get(entry.user_id) ?? this.create(entry);
      const gain = update(row, entry, scores);
      if (gain) showGain(row, scores.format(Math.abs(gain)), gain > 0, order !== 'asc');
      row.element.style.setProperty('--part', most > 0 ? Math.max(0, entry.score / most) : 0);
      const there = this.body.children[index];
      if (there !== row.element) this.body.insertBefore(row.element, there ?? null);
    });
    if (!calm.matches) this.move(before);
  }

  create({ user_id: user, score }) {
    const element = this.template.content.firstElementChild.cloneNode(true);
    const hue = [...user].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
    element.style.setProperty('--hue', hue);
    const row = { element, score, cell: (name) => element.querySelector(name) };
    this.rows.set(user, row);
    return row;
  }

  // The top of each row as it is on the screen now, in the middle of a move, too.
  tops() {
    const top = this.body.getBoundingClientRect().top;
    return new Map([...this.rows].map(([user, { element }]) => [user, element.getBoundingClientRect().top - top]));
  }

  // FLIP: every row is in its new position already, and is drawn as if it came from its old one.
  move(before) {
    const top = this.body.offsetTop;
    for (const [user, row] of this.rows) {
      const [from, to] = [before.get(user), row.element.offsetTop - top];
      if (from === undefined) row.element.animate([{ opacity: 0 }, {}], 300);
      else if (to !== row.top) { // Else it is there, or on its way.
        row.moving?.cancel();
        const zIndex = from > to ? 1 : 0; // A row that rises passes in front.
        const way = [{ transform: `translateY(${from - to}px)`, zIndex }, { transform: 'none', zIndex }];
        row.moving = row.element.animate(way, { duration: 450, easing: 'cubic-bezier(.2, .8, .2, 1)' });
      }
      row.top = to;
    }
  }
}

// Writes an entry into its row. Returns by how much the score has changed since the last drawing.
function update(row, entry, scores) {
  const name = entry.display_name || entry.user_id;
  row.element.dataset.rank = row.cell('.rank span').textContent = entry.rank;
  const points = row.cell('.score').textContent = scores.format(entry.score);
  row.cell('.points').dataset.long = points.length > 12;
  if (row.name !== name || row.avatar !== entry.avatar) {
    row.cell('.name').textContent = name;
    row.cell('.player').title = name === entry.user_id ? name : `${name} (${entry.user_id})`;
    row.cell('.face').replaceChildren(portrait(name, entry.avatar));
  }
  const gain = entry.score - row.score;
  Object.assign(row, { name, avatar: entry.avatar, score: entry.score });
  return gain;
}

// A picture of another site, which learns nothing of this page; the initial where it does not load.
function portrait(name, avatar) {
  const initial = document.createTextNode(/[\p{L}\p{N}\p{Extended_Pictographic}]/u.exec(name)?.[0].toUpperCase() ?? '·');
  if (!/^https:\/\//.test(avatar ?? '')) return initial;
  const image = Object.assign(new Image(), { alt: '', loading: 'lazy', referrerPolicy: 'no-referrer', src: avatar });
  image.onerror = () => image.replaceWith(initial);
  return image;
}

function showGain(row, amount, up, upIsGood) {
  const chip = row.cell('.gain');
  chip.textContent = (up ? '+' : '−') + amount;
  chip.dataset.good = up === upIsGood;
  row.telling?.cancel();
  row.telling = chip.animate([{ opacity: 1 }, { opacity: 1, offset: 0.7 }, { opacity: 0 }], 2_000);
  row.telling.onfinish = () => { chip.textContent = ''; };
  row.element.animate([{ backgroundColor: 'var(--flash)' }, {}], { duration: 1_200, easing: 'ease-out' });
}

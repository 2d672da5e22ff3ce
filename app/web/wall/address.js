// What a wall's address says: boards, times, and a client token in the fragment.

/** Boards that take turns. */
const BOARDS_MAX = 24;
/** Rows of a board: as many as a view has. */
const ROWS_MAX = 100;
/** How long a board is shown; a ceremony, how long until the next row. */
const SECONDS_MAX = 86_400;

/**
 * `/wall/{namespace}/{window}?boards=ns/window,ns/window/category&seconds=20&rows=20&category=…&ceremony#token=…`
 * @param {Pick<Location, 'pathname' | 'search' | 'hash'>} location
 */
export function readAddress({ pathname, search, hash }) {
  const query = new URLSearchParams(search);
  const isCeremony = query.has('ceremony');
  const category = query.get('category') ?? '';
  const paths = [pathname.replace(/^\/wall\//, ''), ...(query.get('boards') ?? '').split(',')];
  const boards = paths.map((path) => boardOf(path, category)).filter(Boolean).slice(0, isCeremony ? 1 : BOARDS_MAX);
  return {
    boards,
    isCeremony,
    rows: number(query.get('rows'), 10, 1, ROWS_MAX),
    seconds: number(query.get('seconds'), isCeremony ? 5 : 20, isCeremony ? 0 : 5, SECONDS_MAX),
    language: query.get('lang') ?? '',
    hasQr: query.get('qr') !== 'off',
    token: new URLSearchParams(hash.replace(/^#/, '')).get('token') ?? '',
  };
}

/** A category may hold any character, percent-encoded once more in `boards`. */
function boardOf(path, usual) {
  try {
    const [namespace, window, category = usual] = path.split('/').map(decodeURIComponent);
    return namespace && window ? { namespace, window, category } : null;
  } catch {
    return null; // No such encoding.
  }
}

function number(text, usual, least, most) {
  const value = Number.parseInt(text ?? '', 10);
  return Number.isFinite(value) ? Math.min(Math.max(value, least), most) : usual;
}

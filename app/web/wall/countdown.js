// How long a window lasts yet.

const [MINUTE_S, HOUR_S, DAY_S] = [60, 3_600, 86_400];
/** Windows that go on with the next one. */
const RUNNING = new Set(['hour', 'day', 'week', 'month', 'quarter', 'year']);

/**
 * Days and hours; of the last two days, a clock.
 * @param {number} ms
 * @param {string} locale
 */
export function duration(ms, locale) {
  const seconds = Math.max(0, Math.ceil(ms / 1_000));
  const unit = (unit, n) => new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(n);
  if (seconds >= 2 * DAY_S) return `${unit('day', Math.floor(seconds / DAY_S))} ${unit('hour', Math.floor((seconds % DAY_S) / HOUR_S))}`;
  const part = (n, digits) => new Intl.NumberFormat(locale, { minimumIntegerDigits: digits, useGrouping: false }).format(Math.floor(n));
  const clock = [part((seconds % HOUR_S) / MINUTE_S, 2), part(seconds % MINUTE_S, 2)];
  return [...(seconds >= HOUR_S ? [part(seconds / HOUR_S, 1)] : []), ...clock].join(':');
}

/**
 * @param {{window: string, ends: string | null}} board
 * @param {string} window as it was asked for
 * @returns {{isOver: boolean, left: number} | null} ms; null: it has no end
 */
export function rest({ ends }, window) {
  if (!ends) return null;
  const left = Date.parse(ends) - Date.now();
  return { isOver: left <= 0 && !RUNNING.has(window), left };
}

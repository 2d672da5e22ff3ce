// Windows by their names, as the server makes them: which period one is of, and which one a moment or a day lies in.

const FORMS = {
  year: /^\d{4}$/, quarter: /^\d{4}-Q[1-4]$/, month: /^\d{4}-\d\d$/, week: /^(\d{4}-W\d\d|W\d{4}-\d\d-\d\d)$/,
  day: /^\d{4}-\d\d-\d\d$/, hour: /^\d{4}-\d\d-\d\dT\d\d$/,
};
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const DAY_MS = 86_400_000;

/** `week` of `week` and of `2025-W44`; `season`, `all`; '' for what is no window's name. */
export function periodOf(window) {
  if (window === 'all' || Object.hasOwn(FORMS, window)) return window;
  if (window.startsWith('season:')) return 'season';
  return Object.keys(FORMS).find((period) => FORMS[period].test(window)) ?? '';
}

/** The name of a period's window that a moment (ms) lies in, by the clock of a namespace with these rules. */
export function windowAt(period, ms, { timezone = 'UTC', day_starts: begin = '00:00', week_starts: first = 'monday' } = {}) {
  const clock = clockOf(ms, timezone);
  if (period === 'hour') return clock.toISOString().slice(0, 13);
  const [hours, minutes] = begin.split(':').map(Number);
  return windowOn(period, new Date(clock - (hours * 60 + minutes) * 60_000).toISOString().slice(0, 10), first);
}

/** The name of a period's window that a day such as `2025-11-04` lies in. */
export function windowOn(period, day, first = 'monday') {
  if (period === 'year') return day.slice(0, 4);
  if (period === 'month') return day.slice(0, 7);
  if (period === 'quarter') return `${day.slice(0, 4)}-Q${Math.ceil(Number(day.slice(5, 7)) / 3)}`;
  if (period === 'hour') return `${day}T00`;
  if (period === 'day') return day;
  const date = Date.parse(`${day}T00:00Z`);
  const since = (new Date(date).getUTCDay() - WEEKDAYS.indexOf(first) + 7) % 7;
  const begins = date - since * DAY_MS;
  if (first !== 'monday') return `W${new Date(begins).toISOString().slice(0, 10)}`;
  // An ISO week is of the year that its Thursday is of.
  const year = new Date(begins + 3 * DAY_MS).getUTCFullYear();
  const number = Math.floor((begins + 3 * DAY_MS - Date.UTC(year, 0, 1)) / (7 * DAY_MS)) + 1;
  return `${year}-W${String(number).padStart(2, '0')}`;
}

/** What a clock in a time zone shows at a moment, as if it were UTC. A zone that the browser does not know: UTC. */
function clockOf(ms, timeZone) {
  try {
    const how = { timeZone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' };
    const parts = Object.fromEntries(new Intl.DateTimeFormat('en-US', how).formatToParts(ms).map(({ type, value }) => [type, value]));
    return new Date(Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second));
  } catch {
    return new Date(ms);
  }
}

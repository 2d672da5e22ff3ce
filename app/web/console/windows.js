// Windows by a date of the namespace's calendar.

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const DAY_MS = 86_400_000;

/** The window's name of a period that holds a date, as `2026-11-27`; the current one without a date. */
export function windowOf(period, date, { week_starts: weekStarts = 'monday' } = {}) {
  if (!date || period === 'all' || period.startsWith('season:')) return period;
  const day = new Date(`${date}T00:00:00Z`);
  const text = (moment) => moment.toISOString().slice(0, 10);
  if (period === 'year') return date.slice(0, 4);
  if (period === 'quarter') return `${date.slice(0, 4)}-Q${Math.ceil(Number(date.slice(5, 7)) / 3)}`;
  if (period === 'month') return date.slice(0, 7);
  if (period === 'hour') return `${date}T12`;
  if (period === 'day') return date;
  const first = new Date(day - ((day.getUTCDay() - WEEKDAYS.indexOf(weekStarts) + 7) % 7) * DAY_MS);
  if (weekStarts !== 'monday') return `W${text(first)}`;
  const thursday = new Date(first.getTime() + 3 * DAY_MS);
  const year = thursday.getUTCFullYear();
  const week = 1 + Math.floor((thursday - Date.UTC(year, 0, 1)) / DAY_MS / 7);
  return `${year}-W${String(week).padStart(2, '0')}`;
}

// Texts, numbers and times in the language of the reader.

import english from './text_en.js';

const LANGUAGES = ['en', 'de', 'ar'];

/**
 * The texts of the first language that there are texts of; English if there are none.
 * @param {readonly string[]} locales such as `de-AT`
 * @param {(language: string) => Promise<{default: any}>} load the file of a language; those of the element if left out
 */
export async function loadWords(locales, load = loadOwn) {
  const locale = locales.find((one) => LANGUAGES.includes(languageOf(one))) ?? 'en';
  // Without its file, after a failed request, English will do.
  return load(languageOf(locale)).then((file) => new Words(file.default, locale), async () => new Words((await load('en')).default, 'en'));
}

async function loadOwn(language) {
  return language === 'en' ? { default: english } : import(`./text_${language}.js`);
}

/** '' for what names no language: a page may say anything in `lang`. */
function languageOf(locale) {
  try {
    return new Intl.Locale(locale).language;
  } catch {
    return '';
  }
}

export class Words {
  #texts;
  #plurals;
  #counts;
  #formats = new Map();

  constructor(texts, locale) {
    this.locale = locale;
    this.#texts = texts;
    this.#plurals = new Intl.PluralRules(locale);
    this.#counts = new Intl.NumberFormat(locale);
  }

  get direction() {
    return this.#texts.direction;
  }

  /**
   * A text by its path, such as `states.live`. n: a count, which chooses the form.
   * @returns {string} '' where there is no such text
   */
  say(path, values = {}) {
    let text = path.split('.').reduce((part, name) => (part && Object.hasOwn(part, name) ? part[name] : undefined), this.#texts);
    if (typeof text === 'object') text = text[this.#plurals.select(values.n)] ?? text.other;
    return (text ?? '').replace(/\{(\w+)\}/g, (_, name) => (name === 'n' ? this.count(values.n) : values[name]));
  }

  /** Why something is not live. */
  problem(code) {
    return code && (this.say(`problems.${code}`) || this.say('problems.other', { code }));
  }

  /** A window's name for people: that of its period or season, else as the server has it. */
  window(name) {
    return this.say(`periods.${name}`) || name.replace(/^season:/, '');
  }

  count(number) {
    return withMinus(this.#counts.format(number));
  }

  /** A score. scale: the namespace's; undefined: unknown, so as many digits as there are. */
  score(number, scale) {
    const digits = { minimumFractionDigits: scale ?? 0, maximumFractionDigits: scale ?? 6 };
    return withMinus(this.#format(`score ${scale}`, () => new Intl.NumberFormat(this.locale, digits)).format(number));
  }

  time(date) {
    return this.#format('time', () => new Intl.DateTimeFormat(this.locale, { timeStyle: 'medium' })).format(date);
  }

  /** A moment as the server writes it, by the reader's clock. */
  moment(text) {
    const how = { dateStyle: 'medium', timeStyle: 'short' };
    return this.#format('moment', () => new Intl.DateTimeFormat(this.locale, how)).format(new Date(text));
  }

  /** `in 3 hours`. unit: as Intl has them. */
  until(n, unit) {
    return this.#format('until', () => new Intl.RelativeTimeFormat(this.locale)).format(n, unit);
  }

  /** The day of a moment, by the reader's clock. */
  date(text) {
    return this.#format('date', () => new Intl.DateTimeFormat(this.locale, { dateStyle: 'medium' })).format(new Date(text));
  }

  /** From when to when a window lasts, by the clock of its namespace. */
  span({ window, starts, ends }, rules) {
    if (!starts) return this.say('periods.all');
    try {
      const [first, last] = [new Date(starts), new Date(Date.parse(ends) - 1)];
      // Hours, and days that begin after midnight, have the time, too.
      const isTimed = last - first < 20 * 3_600_000 || (rules.day_starts ?? '00:00') !== '00:00';
      const how = { dateStyle: 'medium', timeZone: rules.timezone ?? 'UTC', ...(isTimed && { timeStyle: 'short' }) };
      return new Intl.DateTimeFormat(this.locale, how).formatRange(first, last);
    } catch {
      return window; // A time zone that this browser does not know.
    }
  }

  #format(name, make) {
    if (!this.#formats.has(name)) this.#formats.set(name, make());
    return this.#formats.get(name);
  }
}

/** The minus that is as wide as a plus: most languages' formats have a hyphen. */
function withMinus(text) {
  return text.replace('-', '−');
}

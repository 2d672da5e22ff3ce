// The console's words, in the reader's language: `text_en.js` and its likes.
import { loadWords } from '/clients/words.js';

const requested = new URLSearchParams(location.search).get('lang') ?? '';

export const words = await loadWords([requested, ...navigator.languages], (language) => import(`./text_${language}.js`));

/** A text by its path; values: what stands in its braces. */
export const say = (path, values) => words.say(path, values);

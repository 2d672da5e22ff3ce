// QR codes (ISO/IEC 18004), made here: no other site learns what is in them. Bytes of UTF-8, error correction level M (15 % of
// a code may be lost), versions 1 to 20: a text of at most 666 bytes.

const SVG = 'http://www.w3.org/2000/svg';
/** Light modules around a code; a reader needs them. */
const QUIET = 4;
/** For each version, from 1: codewords of data, codewords of correction in each block, blocks. */
const VERSIONS = [
  [16, 10, 1], [28, 16, 1], [44, 26, 1], [64, 18, 2], [86, 24, 2], [108, 16, 4], [124, 18, 4], [154, 22, 4], [182, 22, 5], [216, 26, 5],
  [254, 30, 5], [290, 22, 8], [334, 22, 9], [365, 24, 9], [415, 24, 10], [453, 28, 10], [507, 28, 11], [563, 26, 13], [627, 26, 14],
  [669, 26, 16],
];
const MASKS = [
  (row, column) => (row + column) % 2,
  (row) => row % 2,
  (row, column) => column % 3,
  (row, column) => (row + column) % 3,
  (row, column) => ((row >> 1) + Math.floor(column / 3)) % 2,
  (row, column) => ((row * column) % 2) + ((row * column) % 3),
  (row, column) => (((row * column) % 2) + ((row * column) % 3)) % 2,
  (row, column) => (((row + column) % 2) + ((row * column) % 3)) % 2,
];

/**
 * A code as an SVG element, dark on white in every colour scheme. It has no size of its own.
 * @param {string} text
 * @param {string} label what a screen reader says in place of it
 * @returns {SVGSVGElement | null} null: the text is too long
 */
export function qrElement(text, label) {
  const rows = qrRows(text);
  if (!rows) return null;
  const size = rows.length + 2 * QUIET;
  const make = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const svg = make('svg', { viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': label, 'shape-rendering': 'crispEdges' });
  svg.style.forcedColorAdjust = 'none';
  svg.append(make('rect', { width: size, height: size, fill: '#fff' }), make('path', { d: outline(rows), fill: '#000' }));
  return svg;
}

/**
 * The modules of a code, from the top: 1 is dark.
 * @param {string} text
 * @param {number} [mask] 0 to 7; none: the best one
 * @returns {number[][] | null} null: the text is too long
 */
export function qrRows(text, mask) {
  const bytes = new TextEncoder().encode(text);
  const index = VERSIONS.findIndex(([room], i) => 4 + lengthBits(i + 1) + 8 * bytes.length <= 8 * room);
  if (index < 0) return null;
  const [room, correction, blocks] = VERSIONS[index];
  const codewords = withCorrection(dataOf(bytes, lengthBits(index + 1), room), correction, blocks);
  const codes = (mask === undefined ? [...MASKS.keys()] : [mask]).map((one) => draw(index + 1, codewords, one));
  return codes.map((rows) => [penalty(rows), rows]).reduce((best, other) => (other[0] < best[0] ? other : best))[1];
}

function lengthBits(version) {
  return version < 10 ? 8 : 16;
}

// ---- The codewords.

/** Mode (bytes), length, the bytes, an end, and what fills the room. */
function dataOf(bytes, bitsOfLength, room) {
  const binary = (number, length) => number.toString(2).padStart(length, '0');
  const bits = `0100${binary(bytes.length, bitsOfLength)}${[...bytes].map((byte) => binary(byte, 8)).join('')}0000`.slice(0, 8 * room);
  const codewords = bits.match(/.{1,8}/g).map((byte) => Number.parseInt(byte.padEnd(8, '0'), 2));
  for (let i = 0; codewords.length < room; i++) codewords.push(i % 2 ? 0x11 : 0xec);
  return codewords;
}

/** Blocks with their correction, by turns: the first codeword of each block, then the second. The longer blocks are the last. */
function withCorrection(data, correction, count) {
  const short = Math.floor(data.length / count);
  const longOnes = data.length % count;
  let start = 0;
  const blocks = Array.from({ length: count }, (_, i) => {
    const end = start + short + (i >= count - longOnes ? 1 : 0);
    const block = data.slice(start, end);
    start = end;
    return block;
  });
  const byTurns = (lists) => Array.from({ length: lists.at(-1).length }, (_, i) => lists.map((list) => list[i])).flat();
  const generator = generatorOf(correction);
  return [...byTurns(blocks), ...byTurns(blocks.map((block) => remainder(block, generator)))].filter((codeword) => codeword !== undefined);
}

// Arithmetic of Reed and Solomon's codes: bytes are polynomials modulo x⁸ + x⁴ + x³ + x² + 1; 2 generates all but 0.
const POWERS = [1];
while (POWERS.length < 255) POWERS.push((POWERS.at(-1) << 1) ^ (POWERS.at(-1) > 127 ? 0x11d : 0));
const LOGARITHMS = new Map(POWERS.map((power, exponent) => [power, exponent]));

function multiply(a, b) {
  return a && b ? POWERS[(LOGARITHMS.get(a) + LOGARITHMS.get(b)) % 255] : 0;
}

/** (x − 1)(x − 2)(x − 4) … with this many factors; the highest coefficient, 1, is left out. */
function generatorOf(degree) {
  let product = [1];
  for (let i = 0; i < degree; i++) {
    product = [...product, 0].map((above, j) => above ^ (j ? multiply(product[j - 1], POWERS[i]) : 0));
  }
  return product.slice(1);
}

function remainder(block, generator) {
  let rest = generator.map(() => 0);
  for (const codeword of block) {
    const factor = codeword ^ rest[0];
    rest = generator.map((coefficient, i) => (rest[i + 1] ?? 0) ^ multiply(coefficient, factor));
  }
  return rest;
}

/** A number with its check bits behind it. */
function withCheck(number, generator) {
  const length = 31 - Math.clz32(generator);
  let rest = number << length;
  while (31 - Math.clz32(rest) >= length) rest ^= generator << (31 - Math.clz32(rest) - length);
  return (number << length) | rest;
}

// ---- The modules.

function draw(version, codewords, mask) {
  const size = 17 + 4 * version;
  const rows = Array.from({ length: size }, () => Array(size).fill(-1)); // -1: free.
  drawPatterns(rows, version);
  drawFormat(rows, mask);
  if (version > 6) drawVersion(rows, version);
  drawData(rows, codewords, MASKS[mask]);
  return rows;
}

function drawPatterns(rows, version) {
  const last = rows.length - 1;
  // Squares, one in the other, by the distance from their centre.
  const square = (top, left, radius, light) => {
    for (let row = Math.max(0, top - radius); row <= Math.min(last, top + radius); row++) {
      for (let column = Math.max(0, left - radius); column <= Math.min(last, left + radius); column++) {
        rows[row][column] = light.includes(Math.max(Math.abs(row - top), Math.abs(column - left))) ? 0 : 1;
      }
    }
  };
  for (let i = 0; i <= last; i++) rows[6][i] = rows[i][6] = 1 - (i % 2);
  const places = alignments(version);
  const isCorner = (row, column) => [[6, 6], [6, last - 6], [last - 6, 6]].some((corner) => corner[0] === row && corner[1] === column);
  for (const row of places) {
    for (const column of places) if (!isCorner(row, column)) square(row, column, 2, [1]);
  }
  for (const [row, column] of [[3, 3], [3, last - 3], [last - 3, 3]]) square(row, column, 4, [2, 4]);
  rows[last - 7][8] = 1;
}

/** Rows, and columns, in which the centres of small squares are. */
function alignments(version) {
  if (version === 1) return [];
  const [last, gaps] = [4 * version + 10, Math.floor(version / 7) + 1];
  const step = 2 * Math.ceil((last - 6) / (2 * gaps));
  return [6, ...Array.from({ length: gaps }, (_, i) => last - step * (gaps - 1 - i))];
}

/** Level and mask, twice, where nothing else is. */
function drawFormat(rows, mask) {
  const bits = withCheck(mask, 0x537) ^ 0x5412; // Level M is 0.
  const end = rows.length - 1;
  for (let i = 0; i < 15; i++) {
    const bit = (bits >> i) & 1;
    if (i < 8) rows[i < 6 ? i : i + 1][8] = rows[8][end - i] = bit;
    else rows[8][i === 8 ? 7 : 14 - i] = rows[end - 14 + i][8] = bit;
  }
}

function drawVersion(rows, version) {
  const bits = withCheck(version, 0x1f25);
  for (let i = 0; i < 18; i++) {
    const [near, far] = [Math.floor(i / 3), rows.length - 11 + (i % 3)];
    rows[near][far] = rows[far][near] = (bits >> i) & 1;
  }
}

/** Two columns at a time, from the right: up, then down. The column of the timing pattern is none. */
function drawData(rows, codewords, mask) {
  let bit = 0;
  let isUp = true;
  for (let right = rows.length - 1; right > 0; right -= right === 8 ? 3 : 2) {
    for (let i = 0; i < rows.length; i++) {
      const row = isUp ? rows.length - 1 - i : i;
      for (const column of [right, right - 1]) {
        if (rows[row][column] !== -1) continue;
        const value = (codewords[bit >> 3] >> (7 - (bit & 7))) & 1; // Behind the last codeword: 0.
        rows[row][column] = value ^ (mask(row, column) ? 0 : 1);
        bit++;
      }
    }
    isUp = !isUp;
  }
}

/** How hard a code is to read: long runs, whole areas, what looks like a corner, too much of one colour. */
function penalty(rows) {
  const columns = rows.map((_, i) => rows.map((row) => row[i]));
  const lines = [...rows, ...columns].map((line) => line.join(''));
  const runs = lines.flatMap((line) => line.match(/0{5,}|1{5,}/g) ?? []).reduce((sum, run) => sum + run.length - 2, 0);
  const corners = lines.flatMap((line) => `0000${line}0000`.match(/(?=00001011101|10111010000)/g) ?? []).length;
  let areas = 0;
  rows.slice(1).forEach((row, i) => row.slice(1).forEach((dark, j) => {
    if (dark === row[j] && dark === rows[i][j] && dark === rows[i][j + 1]) areas++;
  }));
  const share = rows.flat().reduce((sum, dark) => sum + dark, 0) / rows.length ** 2;
  return runs + 40 * corners + 3 * areas + 10 * Math.floor(Math.abs(share - 0.5) * 20);
}

/** A path around the dark modules of each row. */
function outline(rows) {
  return rows.map((row, i) => {
    const runs = [...row.join('').matchAll(/1+/g)];
    return runs.map(({ index, 0: { length } }) => `M${index + QUIET} ${i + QUIET}h${length}v1h-${length}z`).join('');
  }).join('');
}

/* Text in parts: words, sentences, and the code points in which offsets are counted on the site (here strings are UTF-16). */

export const toPoints = (text, units) => {
  let points = 0;
  for (let at = 0; at < units; at += text.codePointAt(at) > 0xffff ? 2 : 1) points++;
  return points;
};

export const toUnits = (text, points) => {
  let at = 0;
  for (let left = points; left > 0 && at < text.length; left--) at += text.codePointAt(at) > 0xffff ? 2 : 1;
  return at;
};

/* Neither end in the middle of a character of two units, and no white space at the ends. */
export const tidy = (text, start, end) => {
  const low = (at) => text.charCodeAt(at) >= 0xdc00 && text.charCodeAt(at) <= 0xdfff;
  while (start < end && (low(start) || /\s/.test(text[start]))) start++;
  while (end > start && /\s/.test(text[end - 1])) end--;
  if (end < text.length && low(end)) end++;
  return [start, end];
};

const pieces = (text, granularity, spare) => {
  if (!Intl.Segmenter) return [...text.matchAll(spare)].map((found) => ({ index: found.index, segment: found[0], isWordLike: true }));
  return [...new Intl.Segmenter(document.documentElement.lang, { granularity }).segment(text)];
};
const spans = (found) => found.map(({ index, segment }) => [index, index + segment.length]);

/* Words, and pictures that stand for one. */
export const words = (text) =>
  spans(pieces(text, "word", /\S+/g).filter((one) => one.isWordLike || /\p{Extended_Pictographic}/u.test(one.segment)));

/* Sentences; a line is the end of one. */
export const sentences = (text) => {
  const found = [];
  for (const line of text.matchAll(/[^\r\n]+/g)) {
    for (const { index, segment } of pieces(line[0], "sentence", /[^.!?]+[.!?]*\s*/g)) {
      const [start, end] = tidy(text, line.index + index, line.index + index + segment.length);
      if (start < end) found.push([start, end]);
    }
  }
  return found;
};

/* What changed from one text to another, in words: pieces of {kind, words}, kind "same", "del" or "ins". */

/* Words with the white space behind them; beyond so many pairs, the changed middle is shown as a whole. */
const parts = (text) => text.match(/\s+|\S+\s*/g) ?? [];
const MOST_PAIRS = 4_000_000;

const common = (from, to) => {
  let start = 0;
  while (start < from.length && start < to.length && from[start] === to[start]) start++;
  let end = 0;
  while (end < from.length - start && end < to.length - start && from.at(-1 - end) === to.at(-1 - end)) end++;
  return [start, end];
};

/* How long the longest common run of words from (i, j) on is, for all i and j. */
const lengths = (from, to) => {
  const wide = to.length + 1;
  const table = new Uint16Array((from.length + 1) * wide);
  for (let i = from.length - 1; i >= 0; i--) {
    for (let j = to.length - 1; j >= 0; j--) {
      const at = i * wide + j;
      table[at] = from[i] === to[j] ? table[at + wide + 1] + 1 : Math.max(table[at + wide], table[at + 1]);
    }
  }
  return (i, j) => table[i * wide + j];
};

const middle = (from, to) => {
  if (from.length * to.length > MOST_PAIRS) return [...from.map((word) => ["del", word]), ...to.map((word) => ["ins", word])];
  const left = lengths(from, to);
  const found = [];
  let [i, j] = [0, 0];
  while (i < from.length || j < to.length) {
    if (i < from.length && j < to.length && from[i] === to[j]) {
      found.push(["same", from[i++]]);
      j++;
    } else if (i < from.length && (j === to.length || left(i + 1, j) >= left(i, j + 1))) found.push(["del", from[i++]]);
    else found.push(["ins", to[j++]]);
  }
  return found;
};

export const difference = (before, after) => {
  const [from, to] = [parts(before), parts(after)];
  const [start, end] = common(from, to);
  const found = [
    ...from.slice(0, start).map((word) => ["same", word]),
    ...middle(from.slice(start, from.length - end), to.slice(start, to.length - end)),
    ...from.slice(from.length - end).map((word) => ["same", word]),
  ];
  const pieces = [];
  for (const [kind, word] of found) {
    if (pieces.at(-1)?.kind === kind) pieces.at(-1).words += word;
    else pieces.push({ kind, words: word });
  }
  return pieces;
};

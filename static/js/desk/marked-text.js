/* A text with its marks drawn, and what is selected in it. Offsets are of the string, in UTF-16 units. */

/* `marks` are {start, end, label}; where they overlap, a piece looks like the shortest. The sign of a mark, at its start, is drawn
   by the style sheet, so it is no part of the text. */
export const drawText = (box, text, marks, names) => {
  const edges = [...new Set([0, text.length, ...marks.flatMap(({ start, end }) => [start, end])])].sort((a, b) => a - b);
  const pieces = edges.slice(0, -1).map((from, number) => {
    const words = text.slice(from, edges[number + 1]);
    const over = marks.filter(({ start, end }) => start <= from && from < end);
    if (!over.length) return document.createTextNode(words);
    const piece = document.createElement("mark");
    const inmost = over.reduce((one, other) => (other.end - other.start < one.end - one.start ? other : one));
    piece.className = `mark mark--${inmost.label}`;
    piece.title = [...new Set(over.map(({ label }) => names[label]))].join(", ");
    const signs = over.filter(({ start }) => start === from).map(({ label }) => names[label][0]);
    if (signs.length) piece.dataset.sign = signs.join("");
    piece.append(words);
    return piece;
  });
  box.replaceChildren(...pieces);
};

const offsetIn = (box, node, offset) => {
  const range = document.createRange();
  range.selectNodeContents(box);
  range.setEnd(node, offset);
  return range.toString().length;
};

/* [start, end] of what is selected in the box; null where nothing is. */
export const selected = (box) => {
  const { anchorNode, anchorOffset, focusNode, focusOffset, isCollapsed } = document.getSelection();
  if (isCollapsed || !box.contains(anchorNode) || !box.contains(focusNode)) return null;
  return [offsetIn(box, anchorNode, anchorOffset), offsetIn(box, focusNode, focusOffset)].sort((a, b) => a - b);
};

const placeOf = (box, units) => {
  const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
  let left = units;
  let last = null;
  while (walker.nextNode()) {
    last = walker.currentNode;
    if (left <= last.length) return [last, left];
    left -= last.length;
  }
  return [last ?? box, last ? last.length : 0];
};

export const select = (box, start, end) => {
  document.getSelection().setBaseAndExtent(...placeOf(box, start), ...placeOf(box, end));
  const { bottom, top } = document.getSelection().getRangeAt(0).getBoundingClientRect();
  if (top < 80 || bottom > innerHeight - 40) scrollBy({ top: top - innerHeight / 2 });
};

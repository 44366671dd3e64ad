/* Choosing part of a text unit by unit (words or sentences, [start, end] each). A choice is {origin, focus}: the units it began
   with, which stay in it while it is extended, and where it ends: behind its origin, or before it. */

export const rangeOf = ({ origin: [start, end], focus }) => (focus >= end ? [start, focus] : [focus, end]);
export const choiceOf = (start, end) => ({ origin: [start, end], focus: end });

const extended = (units, { origin, focus }, by) => {
  const [start, end] = origin;
  if (by > 0) {
    if (focus >= end) return units.find((unit) => unit[1] > focus)?.[1] ?? focus;
    const at = units.find((unit) => unit[0] > focus)?.[0] ?? end;
    return at >= start ? end : at;
  }
  if (focus > end) return Math.max(end, units.findLast((unit) => unit[1] < focus)?.[1] ?? end);
  const from = focus === end ? start : focus;
  return units.findLast((unit) => unit[0] < from)?.[0] ?? focus;
};

const neighbour = (units, [start, end], by) => {
  /* From a part of a unit first to the whole of it: from a word to its sentence. */
  const around = units.find((unit) => unit[0] <= start && unit[1] >= end && unit[1] - unit[0] > end - start);
  if (around) return around;
  return by > 0 ? units.find((unit) => unit[0] >= end) ?? units.at(-1) : units.findLast((unit) => unit[1] <= start) ?? units[0];
};

/* The choice one unit on (`by` 1) or back (−1), or at the end or start of the text (±Infinity). Null where there is no unit. */
export const moved = (units, choice, by, extend) => {
  if (!units.length) return choice;
  const outer = by > 0 ? units.at(-1) : units[0];
  if (!choice) return choiceOf(...(Number.isFinite(by) ? units.at(by > 0 ? 0 : -1) : outer));
  if (!extend) return choiceOf(...(Number.isFinite(by) ? neighbour(units, rangeOf(choice), by) : outer));
  return { origin: choice.origin, focus: Number.isFinite(by) ? extended(units, choice, by) : outer[by > 0 ? 1 : 0] };
};

/* What a pressed key is called. */

/* On many keyboards these need Shift, or are another sign. */
const ALIASES = { "=": "+", "−": "-" };
const named = (key) => (key.length === 1 ? key.toLowerCase() : key);

/* The key by what it types; else by where it sits, for keyboards whose letters or digits are other signs. */
export const readings = (event) => {
  const key = named(event.key);
  const found = [key];
  if (ALIASES[key]) found.push(ALIASES[key]);
  const place = event.shiftKey ? null : event.code.match(/^(?:Key([A-Z])|Digit(\d))$/);
  if (place && key.length === 1 && !/^[a-z0-9]$/.test(key)) found.push((place[1] ?? place[2]).toLowerCase());
  return found;
};

/* The key of this press, where it can be given to an action: keys that only alter others, Tab and Escape cannot. */
export const keyNamed = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.key === " ") return null;
  const usable = event.key.length === 1 || /^(Enter|Backspace|Delete|Insert|Home|End|PageUp|PageDown|Arrow\w+|F\d+)$/.test(event.key);
  return usable ? named(event.key) : null;
};

/* The first of these actions whose key it is: by `keys`, {action: key}. */
export const nameFor = (event, names, keys) => {
  for (const key of readings(event)) {
    const name = names.find((one) => keys[one] === key);
    if (name) return name;
  }
  return null;
};

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

/* The first of these actions whose key it is: by `keys`, {action: key}. */
export const nameFor = (event, names, keys) => {
  for (const key of readings(event)) {
    const name = names.find((one) => keys[one] === key);
    if (name) return name;
  }
  return null;
};

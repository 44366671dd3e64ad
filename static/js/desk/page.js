/* The page around the item: its parts, its words, its notices. */
export const desk = document.getElementById("desk");
export const stage = document.getElementById("stage");
export const allDone = document.getElementById("all-done");
const waiting = document.getElementById("waiting");
export const undoForm = document.getElementById("undo");
export const sheet = document.getElementById("keys");
const notices = document.getElementById("notices");

const told = (id) => JSON.parse(document.getElementById(id).textContent);
/* Every word that a person reads comes from the template. */
const texts = told("desk-texts");
export const text = (name, values = {}) => texts[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
/* Which key does what for this person: {action: key}. */
export const keysOf = told("desk-keys");

/* The cookie's token first: logging in again in another tab changes it, and this page's own would then be refused. */
export const token = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? undoForm.elements.csrfmiddlewaretoken.value;
export const withToken = (body) => {
  body.set("csrfmiddlewaretoken", token());
  return body;
};
export const REQUEST_MS = 20_000;

/* The stage is empty for longer than an answer of the site takes: say what is waited for. */
const PATIENCE_MS = 700;
let late = 0;
export const awaited = (isAwaited) => {
  clearTimeout(late);
  if (isAwaited) late = setTimeout(() => { waiting.hidden = false; }, PATIENCE_MS);
  else waiting.hidden = true;
};

/* There is no item: say why. */
export const nothingLeft = (reason) => {
  awaited(false);
  for (const one of allDone.querySelectorAll("[data-reason]")) one.hidden = one.dataset.reason !== reason;
  allDone.hidden = false;
};

export const quiet = () => notices.replaceChildren();
export const notice = (kind, words, action) => {
  const one = document.createElement("p");
  one.className = `notice notice--${kind}`;
  one.setAttribute("role", "alert");
  one.textContent = `${words} `;
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn--small";
    button.textContent = action.label;
    button.addEventListener("click", () => { one.remove(); action.run(); });
    one.append(button);
  }
  notices.replaceChildren(one);
};

export const progress = (values) => {
  for (const [name, value] of Object.entries(values)) {
    for (const place of document.querySelectorAll(`[data-progress="${name}"]`)) {
      place.textContent = value.toLocaleString(document.documentElement.lang);
    }
  }
  const bar = document.querySelector("#progress progress");
  bar.max = values.items || 1;
  bar.value = values.done;
  /* What the page says when there is no item: there never was one, others' part is left, or nothing is. */
  const left = values.items === 0 ? "empty" : values.done < values.items ? "some" : "none";
  for (const one of allDone.querySelectorAll("[data-left]")) one.hidden = one.dataset.left !== left;
};

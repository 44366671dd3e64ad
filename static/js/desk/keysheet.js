/* The sheet of keys, where each can be changed: press its button, then the key. What the site takes holds at once. */
import { keyNamed } from "./keynames.js";
import { keysOf, REQUEST_MS, sheet, text, token } from "./page.js";
import { state } from "./state.js";

const said = sheet.querySelector("[data-keys-said]");
let waiting = null;

const stopWaiting = () => {
  waiting?.setAttribute("aria-pressed", "false");
  waiting = null;
};
const say = (words, wrong = false) => {
  said.textContent = words;
  said.classList.toggle("field__error", wrong);
};

const relabel = (all) => {
  for (const { name, key } of all) keysOf[name] = key;
  for (const place of [document, state.ahead].filter(Boolean)) {
    for (const label of place.querySelectorAll("[data-key-of]")) label.textContent = sign(keysOf[label.dataset.keyOf]);
  }
};
const SIGNS = JSON.parse(sheet.dataset.signs);
const sign = (key) => SIGNS[key] ?? key.toUpperCase();

const change = async (body) => {
  try {
    const answer = await fetch(sheet.dataset.url, {
      method: "PATCH", body: JSON.stringify(body), signal: AbortSignal.timeout(REQUEST_MS), redirect: "manual",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token() },
    });
    const value = await answer.json();
    if (answer.status === 422) return say(value.detail, true);
    if (!answer.ok) throw new Error(answer.status);
    relabel(value);
    say(text("keys_saved"));
  } catch {
    say(text("keys_not_saved"), true);
  }
};

/* While a key is awaited, every press is the sheet's, before anybody else's. */
const pressed = (event) => {
  if (!waiting) return;
  const key = keyNamed(event);
  if (!key && event.key !== "Escape" && event.key !== "Tab") return;
  if (event.key !== "Tab") event.preventDefault();
  event.stopPropagation();
  const name = waiting.dataset.changeKey;
  stopWaiting();
  if (key) change({ keys: { [name]: key } });
  else say("");
};

export const startSheet = () => {
  sheet.addEventListener("keydown", pressed, true);
  sheet.addEventListener("close", () => { stopWaiting(); say(""); });
  sheet.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-change-key]");
    if (button) {
      stopWaiting();
      waiting = button;
      button.setAttribute("aria-pressed", "true");
      say(text("press_key"));
    } else if (target.closest("[data-reset-keys]")) change({ reset: true });
  });
};

/* What is typed is kept: at once in this browser, half a second later on the site. */
import { tick } from "./clock.js";
import { recall, remember, store } from "./memory.js";
import { REQUEST_MS, text, withToken } from "./page.js";
import { state } from "./state.js";

const DELAY_MS = 500;
const NOT_KEPT = ["csrfmiddlewaretoken", "reason", "note"];
const keyOf = (item) => `${store}draft:${item}`;
const fieldsOf = (form) => [...new FormData(form)].filter(([name]) => !NOT_KEPT.includes(name));
const say = (form, words) => (form.querySelector(".scoring__saved").textContent = words);
let timer = 0;

const save = async (form) => {
  clearTimeout(timer);
  if (!form.dataset.draft) return say(form, text("draft_here")); // what is being changed is no draft
  const body = withToken(new FormData(form));
  try {
    const answer = await fetch(form.dataset.draft, { method: "POST", body, redirect: "manual", signal: AbortSignal.timeout(REQUEST_MS) });
    if (answer.status !== 204) throw new Error(answer.status);
    if (form === state.shown) say(form, text("draft_saved"));
  } catch {
    if (form === state.shown) say(form, text("draft_kept"));
  }
};

/* Something in the form on the stage has changed. */
export const drafting = () => {
  const form = state.shown;
  if (!form) return;
  tick();
  remember(keyOf(form.dataset.item), { at: Date.now() / 1000, fields: fieldsOf(form) });
  say(form, "…");
  clearTimeout(timer);
  timer = setTimeout(() => save(form), DELAY_MS);
};

/* Put what this browser kept into a form, where the site knows nothing newer. */
export const restore = (form) => {
  const kept = recall(keyOf(form.dataset.item));
  if (!kept || kept.at <= Number(form.dataset.draftedAt || 0)) return;
  for (const input of form.querySelectorAll("input[type=radio], input[type=checkbox]")) input.checked = false;
  for (const [name, value] of kept.fields) {
    if (name === "submission" || name === "shown_at") continue;
    const field = form.elements[name];
    if (!field) continue;
    if (field.type === "checkbox") field.checked = true;
    else field.value = value;
  }
  say(form, text("draft_restored"));
};

export const forget = (item) => remember(keyOf(item), null);
export const stopSaving = () => clearTimeout(timer);
export const nothingTyped = () => (timer = 0);

export const saveOnLeaving = () => {
  const leave = () => {
    const form = state.shown;
    if (!form?.dataset.draft || !timer || !recall(keyOf(form.dataset.item))) return;
    navigator.sendBeacon(form.dataset.draft, withToken(new FormData(form)));
  };
  document.addEventListener("visibilitychange", () => document.hidden && leave());
  window.addEventListener("pagehide", leave);
};

/* Which key does what. The names of actions are those of `annotations/desk_keys.py`; Escape always leaves. */
import { actionsOf, captured, tell } from "./features.js";
import { flag, skip, submit, undo } from "./flow.js";
import { unfold } from "./fold.js";
import { nameFor } from "./keynames.js";
import { keysOf, sheet } from "./page.js";
import { state } from "./state.js";

const common = {
  critique: (form) => form.elements.critique.focus(),
  submit,
  skip,
  flag: (form) => {
    if (!form.elements.reason) return;
    form.querySelector(".scoring__flag").open = true;
    form.elements.reason.focus();
  },
  unfold,
  gold: (form) => {
    const gold = form.querySelector(".scoring__gold");
    if (gold) gold.open = !gold.open;
  },
};
const always = { undo, help: () => sheet.showModal() };

const typing = (target) => target.matches("textarea, select, input:not([type=radio], [type=checkbox])");
const whileTyping = (form, event) => {
  const flagging = event.target.matches(".scoring__flag *");
  if (event.key === "Escape") event.target.blur();
  else if (event.key === "Enter" && (event.ctrlKey || event.metaKey || flagging)) {
    event.preventDefault();
    if (flagging) flag(form);
    else submit(form);
  }
};

const pressed = (event) => {
  const form = state.shown;
  if (event.isComposing || document.querySelector("dialog[open]")) return;
  if (form && captured(form, event)) {
    event.preventDefault();
    return;
  }
  if (typing(event.target)) {
    if (form?.contains(event.target)) whileTyping(form, event);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  /* A button, link or menu that has the focus keeps its own Enter; one in the sheet that was closed just now has it no more. */
  if (event.key === "Enter" && event.target.closest("button, a, summary")?.checkVisibility()) return;
  const actions = { ...always, ...(form ? { ...common, ...actionsOf(form) } : {}) };
  if (event.key === "Escape" && form) tell(form, "cancel");
  const name = nameFor(event, Object.keys(actions), keysOf);
  if (!name) return;
  event.preventDefault();
  actions[name](form);
};

export const startKeys = () => document.addEventListener("keydown", pressed);

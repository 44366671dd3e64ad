/* Scoring one answer: the overall score, its dimensions, "cannot verify". */
import { altered, choose } from "./fields.js";
import { text } from "./page.js";

const LOWEST = -2;
const HIGHEST = 2;

const aimed = (form) => form.querySelector(".dimension[data-active]");
const aim = (form, fieldset) => {
  for (const one of form.querySelectorAll(".dimension[data-active]")) delete one.dataset.active;
  if (fieldset) fieldset.dataset.active = "";
};
const value = (score) => (form) => {
  const dimension = aimed(form);
  choose(form, dimension ? `dimension_${dimension.dataset.dimension}` : "overall", String(score));
  aim(form, null);
};
const step = (by) => (form) => {
  const now = form.elements.overall.value;
  choose(form, "overall", String(now === "" ? by : Math.max(LOWEST, Math.min(HIGHEST, Number(now) + by))));
};

const actions = {
  lower: step(-1),
  higher: step(1),
  cannot_verify: (form) => {
    const box = form.elements.cannot_verify;
    box.checked = !box.checked;
    altered(box);
  },
};
for (let score = LOWEST; score <= HIGHEST; score++) actions[`overall_${score - LOWEST + 1}`] = value(score);
for (let number = 1; number <= 10; number++) {
  actions[`dimension_${number}`] = (form) => aim(form, form.querySelectorAll(".dimension")[number - 1]);
}

export const score = {
  applies: (form) => Boolean(form.elements.overall),
  actions,
  ready: ({ elements }) => (elements.overall.value || elements.cannot_verify.checked ? null : text("choose_score")),
  shown: (form) => aim(form, null),
  cancel: (form) => aim(form, null),
  /* A score and "cannot verify" exclude each other. */
  changed: (form, { target }) => {
    if (target.name === "cannot_verify" && target.checked) for (const radio of form.elements.overall) radio.checked = false;
    if (target.name === "overall") form.elements.cannot_verify.checked = false;
  },
};

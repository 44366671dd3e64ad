/* Marking words of the answer: claim, hedge, fabrication, evidence. The hidden field `spans` holds the marks as the site
   stores them, offsets in code points; the newest is last. */
import { choiceOf, moved, rangeOf } from "./choosing.js";
import { put } from "./fields.js";
import { nameFor } from "./keynames.js";
import { drawText, selected, select } from "./marked-text.js";
import { keysOf, text } from "./page.js";
import { sentences, tidy, toPoints, toUnits, words } from "./words.js";

const MOST = 200;
const SHOWN = 80;
const MOVES = { ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, ArrowRight: 1, ArrowDown: 1, End: Infinity };
const parts = new WeakMap();

const build = (form) => {
  const box = form.querySelector(".marking");
  const answer = JSON.parse(box.querySelector("script").textContent);
  const labels = [...box.querySelectorAll("[data-label]")];
  return {
    form, box, answer, labels,
    opener: box.querySelector("[data-marking-open]"),
    tools: box.querySelector(".marking__tools"),
    plain: box.querySelector(".marking__text"),
    help: box.querySelector(".marking__help"),
    list: box.querySelector(".marks"),
    said: box.querySelector(".marking__said"),
    rendered: form.querySelector("[data-rendered-answer]"),
    names: Object.fromEntries(labels.map((button) => [button.dataset.label, button.dataset.name])),
    choice: null, words: null, sentences: null,
  };
};
const of = (form) => {
  if (!parts.has(form)) parts.set(form, build(form));
  return parts.get(form);
};
const say = (part, words) => (part.said.textContent = words);
const isOpen = (part) => !part.plain.hidden;

/* ---- the marks ---- */
const marks = (part) => JSON.parse(part.form.elements.spans.value || "[]");
const quoted = (part, { start, end }) => {
  const whole = part.answer.slice(toUnits(part.answer, start), toUnits(part.answer, end)).replace(/\s+/g, " ");
  const signs = [...whole];
  return signs.length > SHOWN ? `${signs.slice(0, SHOWN - 1).join("")}…` : whole;
};
const row = (part, mark, number) => {
  const item = document.createElement("li");
  item.className = "marks__one";
  const name = document.createElement("strong");
  name.className = `marklabel marklabel--${mark.label}`;
  name.textContent = part.names[mark.label];
  const words = document.createElement("q");
  words.textContent = quoted(part, mark);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn--small";
  button.textContent = text("mark_remove");
  button.setAttribute("aria-label", text("mark_remove_one", { label: part.names[mark.label], words: quoted(part, mark) }));
  button.addEventListener("click", () => {
    remove(part, number);
    (part.list.querySelectorAll("button")[number] ?? part.list.querySelector("li:last-child button") ?? part.opener).focus();
  });
  item.append(name, " ", words, " ", button);
  return item;
};
const draw = (part) => {
  const all = marks(part);
  part.list.replaceChildren(...all.map((mark, number) => row(part, mark, number)));
  part.list.hidden = !all.length;
  if (isOpen(part)) {
    const units = all.map((mark) => ({ ...mark, start: toUnits(part.answer, mark.start), end: toUnits(part.answer, mark.end) }));
    drawText(part.plain, part.answer, units, part.names);
  }
};
const store = (part, all) => put(part.form, "spans", JSON.stringify(all));
const remove = (part, number) => {
  const all = marks(part);
  const [gone] = all.splice(number, 1);
  if (!gone) return;
  store(part, all);
  say(part, text("mark_removed", { label: part.names[gone.label], words: quoted(part, gone) }));
};
const add = (part, label) => {
  const [start, end] = part.choice ? tidy(part.answer, ...rangeOf(part.choice)) : [0, 0];
  const all = marks(part);
  const mark = { start: toPoints(part.answer, start), end: toPoints(part.answer, end), label };
  const known = all.some((one) => one.start === mark.start && one.end === mark.end && one.label === label);
  if (start >= end || known) return say(part, text(known ? "mark_known" : "mark_nothing"));
  if (all.length >= MOST) return say(part, text("mark_most", { count: MOST }));
  store(part, [...all, mark]);
  point(part, choiceOf(start, end));
  say(part, text("mark_made", { label: part.names[label], words: quoted(part, mark) }));
};

/* ---- choosing words ---- */
const point = (part, choice) => {
  part.choice = choice;
  if (choice) select(part.plain, ...rangeOf(choice));
};
const moving = (part, event) => {
  part.words ??= words(part.answer);
  part.sentences ??= sentences(part.answer);
  const units = event.ctrlKey || event.key === "ArrowUp" || event.key === "ArrowDown" ? part.sentences : part.words;
  point(part, moved(units, part.choice, MOVES[event.key], event.shiftKey));
  if (part.choice) say(part, part.answer.slice(...rangeOf(part.choice)));
};

/* ---- opening and closing ---- */
const open = (form) => {
  const part = of(form);
  part.plain.hidden = part.tools.hidden = part.help.hidden = false;
  part.rendered.hidden = true;
  part.opener.setAttribute("aria-expanded", "true");
  draw(part);
  part.plain.focus();
};
const close = (form) => {
  const part = of(form);
  if (!isOpen(part)) return;
  part.plain.hidden = part.tools.hidden = part.help.hidden = true;
  part.rendered.hidden = false;
  part.choice = null;
  part.opener.setAttribute("aria-expanded", "false");
  form.querySelector(".scoring__item").focus({ preventScroll: true });
};

/* ---- the mouse, and a finger: what is selected by hand is chosen ---- */
document.addEventListener("selectionchange", () => {
  const plain = document.querySelector(".marking__text:not([hidden])");
  const found = plain && selected(plain);
  if (!found) return;
  const part = of(plain.closest("form"));
  const now = part.choice && rangeOf(part.choice);
  if (now?.[0] !== found[0] || now[1] !== found[1]) part.choice = choiceOf(...found);
});

const LABELS = { mark_claim: "claim", mark_hedge: "hedge", mark_fabrication: "fabrication", mark_evidence: "evidence" };

export const marking = {
  applies: (form) => Boolean(form.elements.spans),
  actions: { mark: open },
  restored: (form) => {
    const part = of(form);
    part.box.hidden = false;
    draw(part);
    part.opener.addEventListener("click", () => (isOpen(part) ? close : open)(form));
    for (const button of part.labels) {
      button.addEventListener("mousedown", (event) => event.preventDefault()); // what is selected stays so
      button.addEventListener("click", () => add(part, button.dataset.label));
    }
  },
  changed: (form, { target }) => target.name === "spans" && draw(of(form)),
  capture: (form, event) => {
    const part = of(form);
    if (!isOpen(part) || !part.box.contains(event.target) || event.altKey || event.metaKey) return false;
    if (MOVES[event.key] && event.target === part.plain) {
      moving(part, event);
      return true;
    }
    if (event.ctrlKey) return false;
    const name = event.key === "Escape" ? "close" : nameFor(event, [...Object.keys(LABELS), "unmark", "mark"], keysOf);
    if (!name) return false;
    if (name === "close" || name === "mark") close(form);
    else if (name === "unmark") remove(part, marks(part).length - 1);
    else add(part, LABELS[name]);
    return true;
  },
};

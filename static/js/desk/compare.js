/* Putting answers in order. What is known lies in the selects of the answers (rank_<item>), which are what is sent; the page shows
   buttons and keys in their place. */
import { altered } from "./fields.js";
import { text } from "./page.js";

const answers = (form) => [...form.querySelectorAll("[data-candidate]")];
const field = (form, answer) => form.elements[`rank_${answer.dataset.candidate}`];
const rankOf = (form, answer) => Number(field(form, answer).value);
const ranksOf = (form) => answers(form).map((answer) => rankOf(form, answer));

/* The same order with ranks 1, 2, 3 … and none left out; 0 is none yet. */
const dense = (ranks) => {
  const order = [...new Set(ranks.filter(Boolean))].sort((one, other) => one - other);
  return ranks.map((rank) => (rank ? order.indexOf(rank) + 1 : 0));
};

const write = (form, ranks) => {
  const values = dense(ranks);
  let last = null;
  for (const [at, answer] of answers(form).entries()) {
    const select = field(form, answer);
    const value = values[at] ? String(values[at]) : "";
    if (select.value === value) continue;
    select.value = value;
    last = select;
  }
  if (last) altered(last);
};

/* Where the answer stands that comes last, and alone; −1 where there is none. */
const loneLast = (ranks) => {
  const last = Math.max(...ranks);
  return ranks.indexOf(last) === ranks.lastIndexOf(last) ? ranks.indexOf(last) : -1;
};

/* Once more takes an answer out again; with it the one that came last by itself. */
const without = (ranks, at) => {
  const whole = ranks.every(Boolean);
  const last = loneLast(ranks);
  if (whole && at === last) return ranks;
  return ranks.map((rank, other) => (other === at || (whole && other === last) ? 0 : rank));
};

/* The answer comes next; the only one that is left then comes last by itself. */
const next = (ranks, at) => {
  if (ranks[at]) return without(ranks, at);
  const chosen = ranks.map((rank, other) => (other === at ? Math.max(...ranks) + 1 : rank));
  const left = chosen.filter((rank) => !rank).length;
  return left === 1 ? chosen.map((rank) => rank || Math.max(...chosen) + 1) : chosen;
};

/* Of two, the other one gives way; the same again takes the choice back. */
const better = (ranks, at) => {
  const wanted = at === 0 ? [1, 2] : [2, 1];
  return String(ranks) === String(wanted) ? [0, 0] : wanted;
};

const choose = (form, at) => {
  const ranks = ranksOf(form);
  if (at >= ranks.length) return;
  write(form, ranks.length === 2 ? better(ranks, at) : next(ranks, at));
};

/* The last in the order is as good as the one before it. Of two answers, or where there is no order yet: all are. */
const tie = (form) => {
  const ranks = ranksOf(form);
  const last = Math.max(...ranks);
  if (ranks.length === 2 || last === 0) write(form, ranks.map(() => 1));
  else write(form, ranks.map((rank) => (rank === last && last > 1 ? last - 1 : rank)));
};

const named = (ranks, rank) => {
  const name = text(`rank_${rank}`);
  return ranks.filter((other) => other === rank).length > 1 ? text("rank_tied", { rank: name }) : name;
};

const draw = (form) => {
  const ranks = ranksOf(form);
  const two = ranks.length === 2;
  const told = [];
  for (const [at, answer] of answers(form).entries()) {
    const rank = ranks[at];
    const badge = answer.querySelector(".candidate__rank");
    badge.hidden = !rank;
    badge.textContent = rank ? named(ranks, rank) : "";
    answer.toggleAttribute("data-best", rank === 1 && ranks.some((other) => other > 1));
    const pressed = two ? rank === 1 && ranks[1 - at] !== 1 : Boolean(rank);
    answer.querySelector(".candidate__choose").setAttribute("aria-pressed", String(pressed));
    if (rank) told.push([rank, text("rank_told", { answer: answer.dataset.number, rank: named(ranks, rank) })]);
  }
  told.sort(([one], [other]) => one - other);
  const words = told.length ? [`${told.map(([, one]) => one).join(" · ")}.`] : [text("rank_none")];
  if (form.elements.all_bad.checked) words.push(text("rank_all_bad"));
  form.querySelector(".compare__told").textContent = words.join(" ");
};

const only = (form, at) => {
  if (answers(form).length === 2) choose(form, at);
};
const actions = {
  left: (form) => only(form, 0),
  right: (form) => only(form, 1),
  tie,
  all_bad: (form) => {
    const box = form.elements.all_bad;
    box.checked = !box.checked;
    altered(box);
  },
};
for (let number = 1; number <= 6; number++) actions[`answer_${number}`] = (form) => choose(form, number - 1);

const dress = (form) => {
  for (const [at, answer] of answers(form).entries()) {
    answer.querySelector(".candidate__select").hidden = true;
    const button = answer.querySelector(".candidate__choose");
    button.hidden = false;
    button.addEventListener("click", () => choose(form, at));
  }
  const button = form.querySelector(".compare__tie");
  button.hidden = false;
  button.addEventListener("click", () => tie(form));
};

export const compare = {
  applies: (form) => form.dataset.mode === "compare",
  actions,
  ready: (form) => (form.elements.all_bad.checked || ranksOf(form).every(Boolean) ? null : text("choose_order")),
  restored: (form) => {
    /* What this browser kept may be of other answers than are shown now. */
    form.elements.shown.value = answers(form).map((answer) => answer.dataset.candidate).join(",");
    dress(form);
    draw(form);
  },
  changed: (form) => draw(form),
};

/* What is right about a qualification item, after its score: a panel over the next item, one at a time. Enter and Escape
   close it, as they close every dialog. */
import { startAnew } from "./clock.js";

const panel = document.getElementById("feedback");
const waiting = [];

const showNext = () => {
  if (panel.open || !waiting.length) return;
  panel.querySelector("[data-told]").innerHTML = waiting.shift();
  panel.showModal();
};

/* `html` is the site's own template, rendered there. */
export const tellFeedback = (html) => {
  if (!html) return;
  waiting.push(html);
  showNext();
};

panel.addEventListener("close", () => {
  /* Reading it is no time spent on the item below. */
  startAnew();
  showNext();
});

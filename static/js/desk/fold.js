/* Long texts are folded: their start is shown, and a button after it that the keyboard reaches. Without this all is shown. */
import { text } from "./page.js";

const LOWEST_PX = 700;
const tooHigh = (box) => box.scrollHeight > Math.max(LOWEST_PX, innerHeight * 1.1);

const turn = (box, open) => {
  box.classList.toggle("folded", !open);
  box.nextElementSibling.setAttribute("aria-expanded", String(open));
  box.nextElementSibling.textContent = text(open ? "show_less" : "show_all");
  if (!open && box.getBoundingClientRect().top < 0) box.scrollIntoView({ block: "start" });
};
const isOpen = (box) => !box.classList.contains("folded");

/* Fold what is too high in a form that is on the page. */
export const fold = (form) => {
  for (const box of form.querySelectorAll("[data-fold]")) {
    if (box.nextElementSibling?.matches(".fold__button") || !tooHigh(box)) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn--small fold__button";
    button.addEventListener("click", () => turn(box, !isOpen(box)));
    box.after(button);
    turn(box, false);
    /* What has the focus is never hidden. */
    box.addEventListener("focusin", ({ target }) => {
      if (isOpen(box)) return;
      turn(box, true);
      target.scrollIntoView({ block: "nearest" });
    });
  }
};

/* Everything that is folded in the form, earlier messages too, opens; where nothing is folded, all of it closes. */
export const unfold = (form) => {
  const boxes = [...form.querySelectorAll("[data-fold]")].filter((box) => box.nextElementSibling?.matches(".fold__button"));
  const earlier = [...form.querySelectorAll(".turns__earlier")];
  const open = boxes.some((box) => !isOpen(box)) || earlier.some((one) => !one.open);
  for (const box of boxes) turn(box, open);
  for (const one of earlier) one.open = open;
};

/* Time spent: counted while the page is seen and somebody is at it. */
import { state } from "./state.js";

const IDLE_MS = 60_000;
let touched = Date.now();
let ticked = Date.now();

export const tick = () => {
  const now = Date.now();
  if (state.shown && !document.hidden && now - touched < IDLE_MS) {
    const field = state.shown.elements.seconds;
    field.value = (Number(field.value || 0) + Math.min(now - ticked, 5000) / 1000).toFixed(3); // finer than a keystroke: each one ticks
  }
  ticked = now;
};

export const startAnew = () => (ticked = touched = Date.now());

export const startClock = () => {
  setInterval(tick, 1000);
  for (const kind of ["keydown", "pointermove", "scroll"]) {
    document.addEventListener(kind, () => (touched = Date.now()), { passive: true });
  }
};

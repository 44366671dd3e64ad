/* The page of one's keys: a field takes the key that is pressed in it, by its name. Without this one types the name. */
import { keyNamed } from "./desk/keynames.js";

document.getElementById("keyform").addEventListener("keydown", (event) => {
  if (!event.target.matches("[data-key-field]")) return;
  const key = keyNamed(event);
  if (!key) return;
  event.preventDefault();
  event.target.value = key;
  event.target.select();
});

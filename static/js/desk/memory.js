/* The browser's storage, which may be full or forbidden: then drafts live on the server alone. */
import { desk } from "./page.js";

export const store = `rlwhf:${desk.dataset.user}:`;

export const remember = (key, value) => {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch { /* nothing to be done, and nothing lost but the spare copy */
    return false;
  }
};

export const recall = (key) => {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
};

export const keysUnder = (prefix) => {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(prefix)).sort();
  } catch {
    return [];
  }
};

/* The forms at hand: the one on the stage and the one loaded ahead. */
export const state = {
  shown: null,
  ahead: null,
  /* Items acted on here: an answer that was on its way before the server knew of it must not bring them back. */
  dealt: new Set(),
};

/* The items that this page has already. */
export const besides = () => [state.shown, state.ahead].filter(Boolean).map((form) => form.dataset.item);

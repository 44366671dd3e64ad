/* Changing a form's fields by script, as if by hand: drafts and features hear of it. */
export const altered = (field) => field.dispatchEvent(new Event("change", { bubbles: true }));

export const choose = (form, name, value) => {
  const radio = form.querySelector(`input[name="${CSS.escape(name)}"][value="${CSS.escape(value)}"]`);
  if (!radio) return;
  radio.checked = true;
  altered(radio);
};

/* A hidden field that holds what a feature knows. */
export const put = (form, name, value) => {
  const field = form.elements[name];
  if (field.value === value) return;
  field.value = value;
  altered(field);
};

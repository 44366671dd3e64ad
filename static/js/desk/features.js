/* Modes and features of the desk. Each is an object in a module of its own; all of its parts but `applies` are optional:

     applies(form)        whether this form is one of its kind (form.dataset.mode is the project's mode)
     actions              {name: (form) => …}: done by the key that `annotations/desk_keys.py` and the person gave that name;
                          an action that exists for some forms only may be absent, or do nothing
     ready(form)          what is still missing before it can be submitted, in words, or null
     restored(form)       the fields have their values (the site's, then this browser's): bring its own parts in line.
                          Called once a form, before it is on the page
     shown(form)          the form is on the page now
     changed(form, event) a field was changed, by hand or by `choose` and `put` of fields.js
     cancel(form)         Escape was pressed
     capture(form, event) a key was pressed: return true where it was the feature's own, and nobody else gets to see it
                          (for a state of its own, such as marking)

   A feature keeps everything that it knows about an answer in fields of the form: these are what is submitted, drafted and
   restored. By script it changes them through fields.js, so that drafts and other features hear of it.
   Words come from `text()` (page.js), so from the template. */
import { compare } from "./compare.js";
import { marking } from "./marks.js";
import { review } from "./review.js";
import { score } from "./score.js";

export const FEATURES = [score, marking, compare, review];

export const featuresOf = (form) => FEATURES.filter((feature) => feature.applies(form));

export const tell = (form, what, ...rest) => {
  for (const feature of featuresOf(form)) feature[what]?.(form, ...rest);
};

/* What is missing in a form, by the first feature that misses something; null where it can be submitted. */
export const missing = (form) => {
  for (const feature of featuresOf(form)) {
    const words = feature.ready?.(form);
    if (words) return words;
  }
  return null;
};

export const actionsOf = (form) => Object.assign({}, ...featuresOf(form).map((feature) => feature.actions ?? {}));
export const captured = (form, event) => featuresOf(form).some((feature) => feature.capture?.(form, event));

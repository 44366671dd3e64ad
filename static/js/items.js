/* The items page: ticking rows by mouse and keyboard, and what the bar over the table says. It works without this file. */
(() => {
  "use strict";
  const place = document.getElementById("items");
  const form = () => document.getElementById("bulk");
  const boxes = () => [...place.querySelectorAll('input[name="items"]')];
  const rows = () => [...place.querySelectorAll("tr[data-item]")];
  let last = null; /* the box that was ticked last: a click with Shift reaches from it */

  /* How many are ticked, in the page's own words. */
  const count = () => {
    const bulk = form();
    const told = document.getElementById("ticked");
    if (!bulk || !told) return;
    const ticked = boxes().filter((box) => box.checked).length;
    const all = document.getElementById("all-matching").checked;
    const { none, one, some } = bulk.dataset;
    told.textContent = all ? bulk.dataset.all : ticked === 0 ? none : ticked === 1 ? one : some.replace("{number}", ticked);
    bulk.classList.toggle("has-ticked", all || ticked > 0);
    const remove = bulk.querySelector('button[value="delete"]');
    if (remove && all) remove.dataset.confirm = bulk.dataset.sure;
    else if (remove) delete remove.dataset.confirm;
    const every = document.getElementById("tick-all");
    every.checked = ticked > 0 && ticked === boxes().length;
    every.indeterminate = ticked > 0 && !every.checked;
    for (const row of rows()) row.toggleAttribute("data-ticked", row.querySelector('input[name="items"]').checked);
  };

  const tick = (box, on) => {
    box.checked = on;
    last = box;
  };

  const through = (from, to, on) => {
    const all = boxes();
    const [start, end] = [all.indexOf(from), all.indexOf(to)].sort((one, other) => one - other);
    if (start >= 0) for (const box of all.slice(start, end + 1)) box.checked = on;
  };

  place.addEventListener("click", (event) => {
    const box = event.target.closest('input[name="items"]');
    if (!box) return;
    if (event.shiftKey && last && last !== box) through(last, box, box.checked);
    tick(box, box.checked);
    count();
  });
  place.addEventListener("change", (event) => {
    if (event.target.id === "tick-all") for (const box of boxes()) box.checked = event.target.checked;
    count();
  });

  /* Enter in a field of the bar's menus presses that menu's own button, not the form's first. */
  place.addEventListener("keydown", (event) => {
    const panel = event.target.closest(".bulkbar__panel");
    if (event.key !== "Enter" || !panel || !event.target.matches('input:not([type="checkbox"], [type="radio"])')) return;
    event.preventDefault();
    const after = [...panel.querySelectorAll("button")].find(
      (button) => event.target.compareDocumentPosition(button) & Node.DOCUMENT_POSITION_FOLLOWING,
    );
    after?.click();
  });

  /* The row under the keyboard. */
  const at = () => rows().findIndex((row) => row.contains(document.activeElement));
  const go = (step) => {
    const all = rows();
    if (!all.length) return;
    const here = at();
    const next = here < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, here + step));
    const link = all[next].querySelector("a") ?? all[next].querySelector("input");
    link.focus({ preventScroll: true });
    all[next].scrollIntoView({ block: "nearest" });
  };
  const toggle = (event) => {
    const box = rows()[at()]?.querySelector('input[name="items"]');
    if (!box) return;
    if (event.shiftKey && last) through(last, box, true);
    else tick(box, !box.checked);
    last = box;
    count();
  };
  const keys = {
    j: () => go(1),
    k: () => go(-1),
    x: toggle,
    "/": () => document.getElementById("q").focus(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.isContentEditable) return;
    if (event.target.matches("input:not([type=checkbox]), select, textarea")) {
      if (event.key === "Escape" && event.target.id === "q") event.target.blur();
      return;
    }
    const act = keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act(event);
  });

  /* A view is kept as the page is now: the filter may have changed since it was loaded. */
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-current-query]")) return;
    const query = form()?.elements.query;
    event.target.elements.query.value = query ? query.value : location.search.slice(1);
  });

  const start = () => {
    last = null;
    for (const shown of place.querySelectorAll("#tick-all, #ticked, .items__keys")) shown.hidden = false;
    if (document.getElementById("tick-all")) count();
  };
  document.addEventListener("htmx:afterSwap", (event) => event.target.id === "items" && start());
  addEventListener("pageshow", start); /* a browser that goes back keeps the ticks */
  start();
})();

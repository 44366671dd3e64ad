/* The scoring desk. The page works without this as plain forms; with it, everything has a key, the next item is
   already here when one submits, and what was typed survives a reload, a lost connection and a logged-out session.

   Actions (submit, skip, flag, undo) go out one after the other, in order, from an outbox that outlives the page.
   A submission carries an id made for it, so sending it twice is harmless. */
(() => {
  "use strict";
  const desk = document.getElementById("desk");
  if (!desk) return;
  const stage = document.getElementById("stage");
  const allDone = document.getElementById("all-done");
  const notices = document.getElementById("notices");
  const undoForm = document.getElementById("undo");
  const sheet = document.getElementById("keys");
  /* The cookie's token first: logging in again in another tab changes it, and this page's own would then be refused. */
  const token = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? undoForm.elements.csrfmiddlewaretoken.value;
  const withToken = (body) => {
    body.set("csrfmiddlewaretoken", token());
    return body;
  };
  const store = `rlwhf:${desk.dataset.user}:`;
  const outboxKey = `${store}outbox:${desk.dataset.project}:`;
  const DRAFT_DELAY_MS = 500;
  const IDLE_MS = 60_000;
  const RETRY_MS = [0, 1000, 3000, 8000];
  const REQUEST_MS = 20_000;

  let shown = stage.querySelector("form.scoring");
  let ahead = null;
  // Items acted on here: an answer that was on its way before the server knew of it must not bring them back.
  const dealt = new Set();
  let dimension = null;

  /* ---- local storage, which may be full or forbidden: then drafts live on the server alone ---- */
  const remember = (key, value) => {
    try {
      if (value === null) localStorage.removeItem(key);
      else localStorage.setItem(key, JSON.stringify(value));
      return true;
    } catch { /* nothing to be done, and nothing lost but the spare copy */
      return false;
    }
  };
  const recall = (key) => {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {
      return null;
    }
  };

  /* ---- time spent: counted while the page is seen and somebody is at it ---- */
  let touched = Date.now();
  let ticked = Date.now();
  const touch = () => (touched = Date.now());
  const tick = () => {
    const now = Date.now();
    if (shown && !document.hidden && now - touched < IDLE_MS) {
      const field = shown.elements.seconds;
      field.value = (Number(field.value || 0) + Math.min(now - ticked, 5000) / 1000).toFixed(1);
    }
    ticked = now;
  };
  setInterval(tick, 1000);
  for (const kind of ["keydown", "pointermove", "scroll"]) document.addEventListener(kind, touch, { passive: true });

  /* ---- drafts ---- */
  const draftKey = (form) => `${store}draft:${form.dataset.item}`;
  const fieldsOf = (form) => [...new FormData(form)].filter(([name]) => !["csrfmiddlewaretoken", "reason", "note"].includes(name));
  const say = (form, text) => (form.querySelector(".scoring__saved").textContent = text);
  let draftTimer = 0;
  const saveDraft = async (form) => {
    clearTimeout(draftTimer);
    const body = withToken(new FormData(form));
    try {
      const answer = await fetch(form.dataset.draft, { method: "POST", body, redirect: "manual", signal: AbortSignal.timeout(REQUEST_MS) });
      if (answer.status !== 204) throw new Error(answer.status);
      if (form === shown) say(form, "Draft saved.");
    } catch {
      if (form === shown) say(form, "Draft kept in this browser; the site did not answer.");
    }
  };
  const drafting = () => {
    if (!shown) return;
    tick();
    remember(draftKey(shown), { at: Date.now() / 1000, fields: fieldsOf(shown) });
    say(shown, "…");
    clearTimeout(draftTimer);
    const form = shown;
    draftTimer = setTimeout(() => saveDraft(form), DRAFT_DELAY_MS);
  };
  const restore = (form) => {
    const kept = recall(draftKey(form));
    if (!kept || kept.at <= Number(form.dataset.draftedAt || 0)) return;
    for (const input of form.querySelectorAll("input[type=radio], input[type=checkbox]")) input.checked = false;
    for (const [name, value] of kept.fields) {
      if (name === "submission" || name === "shown_at") continue;
      const field = form.elements[name];
      if (!field) continue;
      if (field.type === "checkbox") field.checked = true;
      else field.value = value;
    }
    say(form, "Draft restored.");
  };
  const leave = () => {
    if (!shown || !draftTimer || !recall(draftKey(shown))) return;
    navigator.sendBeacon(shown.dataset.draft, withToken(new FormData(shown)));
  };
  document.addEventListener("visibilitychange", () => document.hidden && leave());
  window.addEventListener("pagehide", leave);

  /* ---- what is on the stage ---- */
  const parse = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const form = holder.content.querySelector("form.scoring");
    if (form) restore(form);
    return form;
  };
  const show = (form) => {
    dimension = null;
    shown = form;
    ticked = touched = Date.now();
    draftTimer = 0;
    if (form) {
      allDone.hidden = true;
      stage.replaceChildren(form);
      window.scrollTo({ top: 0 });
      form.querySelector(".scoring__item").focus?.({ preventScroll: true });
    } else stage.replaceChildren();
    desk.dataset.shown = form ? form.dataset.item : "";
  };
  const progress = (values) => {
    for (const [name, value] of Object.entries(values)) {
      for (const place of document.querySelectorAll(`[data-progress="${name}"]`)) place.textContent = value.toLocaleString("en");
    }
    const bar = document.querySelector("#progress progress");
    bar.max = values.items || 1;
    bar.value = values.done;
  };
  const arrived = (answer) => {
    progress(answer.progress);
    const form = answer.html ? parse(answer.html) : null;
    if (form && dealt.has(form.dataset.item)) {
      if (!shown && !ahead && !outbox.length) fill();
      return;
    }
    if (form && (form.dataset.item === shown?.dataset.item || form.dataset.item === ahead?.dataset.item)) return;
    if (!shown && form) show(form);
    else if (form) ahead = form;
    if (!shown && !form && !outbox.length) allDone.hidden = false;
    desk.dataset.ahead = ahead ? ahead.dataset.item : "";
  };
  const notice = (kind, text, action) => {
    const one = document.createElement("p");
    one.className = `notice notice--${kind}`;
    one.setAttribute("role", "alert");
    one.textContent = `${text} `;
    if (action) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "btn btn--small";
      button.textContent = action.label;
      button.addEventListener("click", () => { one.remove(); action.run(); });
      one.append(button);
    }
    notices.replaceChildren(one);
  };

  /* ---- the outbox ---- */
  /* Each action is stored under a key of its own, so that tabs of one person never overwrite each other's. What another
     tab left behind is taken over; a lock (where the browser has them: https or this machine) lets one tab send at a time,
     and an action that is no longer stored has been sent by the other. */
  const leftBehind = () => {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(outboxKey)).sort()
        .map((key) => ({ ...recall(key), key, kept: true })).filter((action) => action.url);
    } catch {
      return [];
    }
  };
  let outbox = leftBehind();
  let sending = false;
  let posted = 0;
  const newKey = () => `${outboxKey}${Date.now()}-${String(posted++).padStart(6, "0")}-${Math.random().toString(36).slice(2)}`;
  const inTurn = (work) => (navigator.locks ? navigator.locks.request(outboxKey, work) : work());
  const besides = () => [shown, ahead].filter(Boolean).map((form) => form.dataset.item);
  const ask = async (url, fields) => {
    const body = fields && withToken(new URLSearchParams(fields));
    const answer = await fetch(url, { method: body ? "POST" : "GET", body, headers: { Accept: "application/json" }, redirect: "manual", signal: AbortSignal.timeout(REQUEST_MS) });
    if (answer.status !== 422 && !answer.ok) throw new Error(answer.status || "logged out");
    return { status: answer.status, value: await answer.json() };
  };
  const deliver = async (action) => {
    for (const [attempt, delay] of RETRY_MS.entries()) {
      if (delay) await new Promise((done) => setTimeout(done, delay));
      try {
        const fields = [...action.fields, ...besides().map((item) => ["besides", item])];
        return await ask(action.url, fields);
      } catch (error) {
        if (attempt === RETRY_MS.length - 1) throw error;
      }
    }
  };
  const send = async () => {
    if (sending) return;
    sending = true;
    try {
      while (outbox.length) {
        const action = outbox[0];
        const answer = await inTurn(async () => {
          if (action.kept && !recall(action.key)) return null;
          const delivered = await deliver(action);
          remember(action.key, null);
          return delivered;
        });
        outbox.shift();
        if (!answer) {
          await fill();
          continue;
        }
        const { status, value } = answer;
        if (status === 422) {
          dealt.delete(action.item);
          notice("error", value.item ? `Item ${value.item}: ${value.error}` : value.error);
          await fill();
        } else if (action.kind === "undo") undone(value);
        else {
          remember(`${store}draft:${action.item}`, null);
          arrived(value);
        }
      }
    } catch {
      notice("warn", `${outbox.length} of your actions could not be sent; they are kept in this browser. If you have been logged out, log in in another tab.`,
        { label: "Try again", run: send });
    } finally {
      sending = false;
    }
  };
  const post = (action) => {
    const key = newKey();
    outbox.push({ ...action, key, kept: remember(key, action) });
    send();
  };
  const fill = async () => {
    try {
      const query = new URLSearchParams(besides().map((item) => ["besides", item]));
      const { value } = await ask(`${desk.dataset.next}?${query}`);
      arrived(value);
    } catch { /* the next submission brings one */ }
  };

  /* ---- actions ---- */
  const goOn = () => {
    const next = ahead;
    ahead = null;
    desk.dataset.ahead = "";
    show(next);
  };
  const act = (kind, url) => {
    if (!shown) return;
    tick();
    clearTimeout(draftTimer);
    notices.replaceChildren();
    const form = shown;
    const fields = [...new FormData(form)].filter(([name]) => name !== "csrfmiddlewaretoken");
    dealt.add(form.dataset.item);
    goOn();
    post({ kind, url, item: form.dataset.item, fields });
  };
  const submit = () => {
    if (!shown) return;
    const { overall, cannot_verify: unsure } = shown.elements;
    if (!overall.value && !unsure.checked) {
      notice("warn", "Choose an overall score first: 1 to 5, or V for “cannot verify”.");
      return;
    }
    act("submit", shown.action);
  };
  const skip = () => shown && act("skip", shown.querySelector("[data-action=skip]").formAction);
  const flag = () => shown && act("flag", shown.querySelector("[data-action=flag]").formAction);
  const undo = () => {
    notices.replaceChildren();
    post({ kind: "undo", url: undoForm.action, item: "", fields: [] });
  };
  const undone = (answer) => {
    progress(answer.progress);
    if (!answer.html) {
      notice("info", answer.said);
      return;
    }
    remember(`${store}draft:${answer.item}`, null);
    dealt.delete(String(answer.item));
    const before = shown;
    if (before) ahead = before;
    show(parse(answer.html));
    desk.dataset.ahead = ahead ? ahead.dataset.item : "";
    notice("info", answer.said);
  };

  /* ---- choosing with keys ---- */
  const choose = (name, value) => {
    const radio = shown.querySelector(`input[name="${name}"][value="${value}"]`);
    if (!radio) return;
    radio.checked = true;
    radio.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const step = (by) => {
    const now = shown.elements.overall.value;
    choose("overall", now === "" ? (by > 0 ? 1 : -1) : Math.max(-2, Math.min(2, Number(now) + by)));
  };
  const aim = (fieldset) => {
    for (const one of shown.querySelectorAll(".dimension[data-active]")) delete one.dataset.active;
    dimension = fieldset;
    if (fieldset) fieldset.dataset.active = "";
  };
  const digit = (key) => {
    choose(dimension ? `dimension_${dimension.dataset.dimension}` : "overall", Number(key) - 3);
    aim(null);
  };
  const keys = {
    "+": () => step(1), "=": () => step(1), "-": () => step(-1), "−": () => step(-1),
    v: () => {
      const box = shown.elements.cannot_verify;
      box.checked = !box.checked;
      box.dispatchEvent(new Event("change", { bubbles: true }));
    },
    c: () => shown.elements.critique.focus(),
    s: skip,
    f: () => {
      shown.querySelector(".scoring__flag").open = true;
      shown.elements.reason.focus();
    },
    o: () => {
      const gold = shown.querySelector(".scoring__gold");
      if (gold) gold.open = !gold.open;
    },
    Enter: submit,
    Escape: () => aim(null),
  };
  const typing = (target) => target.matches("textarea, select, input:not([type=radio], [type=checkbox])");
  const whileTyping = (event) => {
    if (event.key === "Escape") event.target.blur();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.target.closest(".scoring__flag") ? flag() : submit();
    } else if (event.key === "Enter" && event.target.matches(".scoring__flag *")) {
      event.preventDefault();
      flag();
    }
  };
  document.addEventListener("keydown", (event) => {
    if (sheet.open || event.isComposing) return;
    if (typing(event.target)) {
      if (shown?.contains(event.target)) whileTyping(event);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    /* A button, link or menu that has the focus keeps its own Enter. */
    if (event.key === "Enter" && event.target.closest("button, a, summary")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === "?") sheet.showModal();
    else if (key === "u") undo();
    else if (shown && "12345".includes(key)) digit(key);
    else if (shown && keys[key]) keys[key]();
    else if (shown?.querySelector(`.dimension[data-key="${CSS.escape(key)}"]`)) aim(shown.querySelector(`.dimension[data-key="${CSS.escape(key)}"]`));
    else return;
    event.preventDefault();
  });

  stage.addEventListener("submit", (event) => {
    event.preventDefault();
    const action = event.submitter?.dataset.action;
    if (action === "skip") skip();
    else if (action === "flag") flag();
    else submit();
  });
  stage.addEventListener("input", drafting);
  stage.addEventListener("change", (event) => {
    /* A score and "cannot verify" exclude each other. */
    const { name, checked } = event.target;
    if (name === "cannot_verify" && checked) for (const radio of shown.querySelectorAll("input[name=overall]")) radio.checked = false;
    if (name === "overall") shown.elements.cannot_verify.checked = false;
    drafting();
  });
  undoForm.addEventListener("submit", (event) => {
    event.preventDefault();
    undo();
  });
  const opener = document.getElementById("keys-open");
  opener.hidden = false;
  opener.addEventListener("click", () => sheet.showModal());

  if (shown && outbox.some((action) => action.item === shown.dataset.item)) show(null);
  if (shown) restore(shown);
  desk.dataset.shown = shown ? shown.dataset.item : "";
  desk.dataset.ready = "";
  if (outbox.length) send().then(fill);
  else if (shown) fill();
})();

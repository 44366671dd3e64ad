/* The chat page, streamed. Without this script the form posts a message and the page comes back with the whole answers.
 * A message goes out as the form would send it; the answer is server-sent events: piece, done, failed, each with its side.
 */
(() => {
  "use strict";

  const form = document.querySelector("form[data-chat]");
  if (!form) return;
  const texts = form.dataset;
  const box = form.querySelector("textarea[name=text]");
  const send = form.querySelector("[data-send]");
  const stop = form.querySelector("[data-stop]");
  let running = null;

  const fresh = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

  /* One column: its conversation, and the question and answer that are under way. */
  class Side {
    constructor(element) {
      this.element = element;
      this.turns = element.querySelector("[data-turns]");
      this.token = element.querySelector("[data-conversation]");
      this.error = element.querySelector("[data-failed]");
      this.isOpen = false;
    }

    ask(text) {
      this.element.querySelector("[data-chat-empty]")?.remove();
      this.error.hidden = true;
      this.asked = fresh("chat-asked");
      this.asked.querySelector("p").textContent = text;
      this.reply = fresh("chat-reply");
      this.reply.dataset.waiting = "";
      this.turns.append(this.asked, this.reply);
      this.isOpen = true;
    }

    add(text) {
      this.reply.querySelector("[data-text]").textContent += text;
    }

    end(told) {
      this.isOpen = false;
      delete this.reply.dataset.waiting;
      this.token.value = told.conversation;
      this.reply.querySelector("[data-text]").textContent = told.text;
      const how = told.tokens === null ? [] : [texts.tokens.replace("{count}", told.tokens)];
      if (told.ending === "length") how.push(texts.cut);
      this.reply.querySelector("[data-how]").textContent = how.join(", ");
      const score = this.reply.querySelector("[data-score]");
      if (score && told.text) score.value = `${told.side}:${told.turn}`;
      else score?.remove();
      this.reply.querySelector("[data-about]").hidden = false;
    }

    /* The conversation is as it was before. */
    fail(reason) {
      this.isOpen = false;
      this.asked.remove();
      this.reply.remove();
      this.error.textContent = reason;
      this.error.hidden = false;
    }
  }

  const sides = [...form.querySelectorAll("[data-side]")].map((element) => new Side(element));

  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const lines = Object.fromEntries(part.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]));
        yield [lines.event, JSON.parse(lines.data)];
      }
    }
  }

  async function reasonOf(answer) {
    if (answer.headers.get("Content-Type")?.startsWith("application/json")) return (await answer.json()).reason;
    return texts.refused.replace("{status}", answer.status);
  }

  async function hear(body) {
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/event-stream" }, signal: running.signal });
    if (!answer.ok || answer.redirected) throw new Error(await reasonOf(answer));
    for await (const [name, told] of events(answer.body)) {
      const side = sides[told.side];
      if (name === "piece") side.add(told.text);
      else if (name === "done") side.end(told);
      else side.fail(told.reason);
    }
  }

  async function say() {
    const text = box.value.trim();
    const body = new FormData(form);
    for (const side of sides) side.ask(text);
    running = new AbortController();
    send.disabled = true;
    stop.hidden = false;
    box.value = "";
    let reason = texts.broken;
    try {
      await hear(body);
    } catch (error) {
      if (error.name === "TypeError") reason = texts.unanswered;
      else if (error.name !== "AbortError") reason = error.message;
      else reason = "";
    }
    for (const side of sides) {
      if (!side.isOpen) continue;
      side.fail(reason);
      side.error.hidden = !reason;
    }
    if (sides.every((side) => !side.reply.isConnected)) box.value = text;
    running = null;
    send.disabled = false;
    stop.hidden = true;
    box.focus();
  }

  async function score(button) {
    const body = new FormData(form);
    body.append("reply", button.value);
    const said = button.closest("[data-about]").querySelector("[data-scored]");
    button.disabled = true;
    try {
      const answer = await fetch(button.formAction, { method: "POST", body, headers: { Accept: "application/json" } });
      if (!answer.ok || answer.redirected) throw new Error(await reasonOf(answer));
      const told = await answer.json();
      const item = document.createElement("a");
      item.href = told.url;
      item.textContent = texts.here.replace("{item}", told.item).replace("{project}", told.project);
      const desk = document.createElement("a");
      desk.href = told.desk;
      desk.textContent = texts.desk;
      said.replaceChildren(item, ...(told.is_handed_to_you ? [" · ", desk] : []));
    } catch (error) {
      said.textContent = error.name === "TypeError" ? texts.unanswered : error.message;
      button.disabled = false;
    }
  }

  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button?.hasAttribute("data-score")) {
      event.preventDefault();
      score(button);
    } else {
      event.preventDefault();
      if (!running && box.value.trim()) say();
    }
  });
  stop.addEventListener("click", () => running?.abort());
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit(send);
  });
})();

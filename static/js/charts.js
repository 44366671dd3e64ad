/* Draws every <div class="chart" data-chart="ID"> from the JSON script with that id: {data, layout}, Plotly's own form.
 *
 * - A colour may be a token of tokens.css: "token:accent", "token:honesty-p2", "token:series-1".
 * - For live charts a trace says which columns it shows: "meta": {"x": "step", "y": "loss"}; then
 *   rlwhfCharts.append(ID, rows) adds the rows that have both.
 * - While a page holds <… data-charts-live="5">, it is fetched anew every five seconds; its charts, the tables behind them and
 *   what has data-live-part and an id take what is new. Where the page is of something else by now (its data-live-of says of
 *   what), or has other charts, all of it is taken. Ticked boxes, hidden lines and open tables stay as they are either way.
 * - <button data-chart-save="png" data-chart-of="ID" hidden> saves the chart as it stands, "png" or "svg", under its title.
 * - Plotly itself is loaded on pages that have a chart, and only there.
 */
(() => {
  "use strict";

  const self = document.currentScript;
  const CONFIG = { displayModeBar: false, responsive: false, showTips: false };
  const SAVED_SCALE = 2; // dots of a saved PNG to a pixel of the page
  const TITLE_HEIGHT = 36;
  const SERIES = ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6"];
  // The map library inside Plotly makes an inline <style>, which the policy refuses, unless something has this id already.
  const MAP_STYLE = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";
  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) if (target.data && Math.abs(target.clientWidth - target.layout.width) > 1) redraw(target);
  });
  let plotly = null; // a promise of window.Plotly, once asked for
  let tokens = null;

  function loadPlotly() {
    plotly ??= new Promise((resolve, reject) => {
      const placeholder = document.createElement("meta");
      placeholder.id = MAP_STYLE;
      const script = document.createElement("script");
      script.src = self.dataset.plotly;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error("Plotly's script did not load"));
      document.head.append(placeholder, script);
    });
    return plotly;
  }

  /* light-dark() and friends are resolved by asking the browser for the colour it would paint. */
  function token(name) {
    tokens ??= new Map();
    if (!tokens.has(name)) {
      const probe = document.createElement("span");
      probe.hidden = true;
      probe.style.color = `var(--${name})`;
      document.body.append(probe);
      tokens.set(name, getComputedStyle(probe).color);
      probe.remove();
    }
    return tokens.get(name);
  }

  function withTokens(value) {
    if (typeof value === "string") return value.startsWith("token:") ? token(value.slice(6)) : value;
    if (Array.isArray(value)) return value.map(withTokens);
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withTokens(inner)]));
    }
    return value;
  }

  function axis() {
    return {
      automargin: true,
      gridcolor: token("border"),
      linecolor: token("border-strong"),
      zerolinecolor: token("border-strong"),
      zerolinewidth: 1,
      tickfont: { color: token("muted"), size: 12 },
      title: { font: { color: token("muted"), size: 12 }, standoff: 8 },
    };
  }

  function template() {
    return {
      layout: {
        font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: token("text") },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        colorway: SERIES.map(token),
        margin: { l: 8, r: 8, t: 8, b: 8, pad: 0 },
        xaxis: axis(),
        yaxis: axis(),
        legend: { orientation: "h", traceorder: "normal", x: 0, y: 1.02, yanchor: "bottom", font: { color: token("text") } },
        hovermode: "closest",
        hoverlabel: {
          bgcolor: token("surface"),
          bordercolor: token("border-strong"),
          font: { color: token("text"), size: 12 },
        },
        dragmode: false,
      },
      data: { scatter: [{ line: { width: 2 } }] },
    };
  }

  async function draw(element, figure) {
    const Plotly = await loadPlotly();
    const { data = [], layout = {} } = withTokens(figure);
    // A figure that knows how tall its rows are makes room for them; Plotly goes by its place when that changes its width.
    if (layout.height) element.style.height = `${layout.height}px`;
    const size = { width: element.clientWidth, height: element.clientHeight };
    // A chart that changes its size keeps its legend where that was, on top of the plot: it is begun anew.
    if (element.layout && element.layout.width !== size.width) Plotly.purge(element);
    await Plotly.react(element, data, { template: template(), autosize: false, ...layout, ...size }, CONFIG);
    element.dispatchEvent(new CustomEvent("chart:drawn", { bubbles: true }));
  }

  function source(element) {
    const script = document.getElementById(element.dataset.chart);
    return script ? JSON.parse(script.textContent) : null;
  }

  async function drawOne(element) {
    const figure = source(element);
    if (!figure || element.dataset.drawn) return;
    element.dataset.drawn = "true";
    try {
      await draw(element, figure);
      sizes.observe(element);
    } catch (error) {
      element.classList.add("chart--failed");
      throw error;
    }
  }

  const placeOf = (id) => document.querySelector(`.chart[data-chart="${CSS.escape(id)}"]`);

  /* The chart as it stands, live rows and hidden lines included, on the page's own ground and with its title. */
  async function picture(element) {
    const Plotly = await loadPlotly();
    const { width, height } = element.getBoundingClientRect();
    const title = { text: element.getAttribute("aria-label") ?? "", x: 0, xanchor: "left", y: 1, yanchor: "top", pad: { t: 10, l: 10 }, font: { size: 14 } };
    const margin = { l: 12, r: 16, b: 12, ...element.layout.margin, t: TITLE_HEIGHT + (element._fullLayout._size?.t ?? 0) };
    const layout = { ...element.layout, title, margin, paper_bgcolor: token("surface"), autosize: false };
    const size = { width: Math.round(width), height: Math.round(height) + TITLE_HEIGHT };
    const svg = await Plotly.toImage({ data: element.data, layout: { ...layout, ...size }, config: CONFIG }, { format: "svg", imageDataOnly: true, ...size });
    return { svg, ...size };
  }

  /* Plotly's own way to a PNG asks for a blob: picture, which the policy refuses; a data: one it allows. */
  async function painted({ svg, width, height }) {
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = width * SAVED_SCALE;
    canvas.height = height * SAVED_SCALE;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  /* What the page is about, as part of a file's name. */
  const about = () => document.title.split(" · ")[0].toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");

  async function save(id, format) {
    const drawn = await picture(placeOf(id));
    const blob = format === "png" ? await painted(drawn) : new Blob([drawn.svg], { type: "image/svg+xml" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${[about(), id].filter(Boolean).join("-")}.${format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-chart-save]");
    if (!button) return;
    const menu = button.closest("details");
    menu.open = false;
    menu.querySelector("summary").focus();
    save(button.dataset.chartOf, button.dataset.chartSave);
  });

  function drawAll(root) {
    for (const button of root.querySelectorAll("[data-chart-save]")) button.hidden = false;
    if (root.matches?.(".chart[data-chart]")) drawOne(root);
    for (const element of root.querySelectorAll(".chart[data-chart]")) drawOne(element);
  }

  /* Adds rows to a drawn chart; rows without a trace's columns leave that trace as it is, and null, which is "not
   * measured", breaks it off. */
  async function append(id, rows) {
    const element = placeOf(id);
    if (!element?.data || rows.length === 0) return;
    const update = { x: [], y: [] };
    const traces = [];
    element.data.forEach((trace, index) => {
      const { x, y } = trace.meta ?? {};
      const fitting = rows.filter((row) => x && y && row[x] != null && row[y] !== undefined);
      if (fitting.length === 0) return;
      traces.push(index);
      update.x.push(fitting.map((row) => row[x]));
      update.y.push(fitting.map((row) => row[y]));
    });
    if (traces.length > 0) await (await loadPlotly()).extendTraces(element, update, traces);
  }

  /* Drawn anew with what has been added to it since and with the lines that were put out. */
  function redraw(element) {
    const figure = source(element);
    if (!figure || !element.clientWidth) return;
    const now = (index) => element.data?.[index] ?? {};
    const data = figure.data.map((trace, index) => ({ ...trace, x: now(index).x ?? trace.x, y: now(index).y ?? trace.y, visible: now(index).visible ?? true }));
    draw(element, { ...figure, data });
  }

  function redrawAll() {
    tokens = null;
    for (const element of document.querySelectorAll(".chart[data-drawn]")) redraw(element);
  }

  /* What is new of a chart; lines that were put out stay so, by their names. */
  function takeFigure(fresh, element) {
    const script = document.getElementById(element.dataset.chart);
    const told = fresh.getElementById(element.dataset.chart)?.textContent;
    if (!script || !told || told === script.textContent) return;
    script.textContent = told;
    const { data, layout } = JSON.parse(told);
    const hidden = new Set((element.data ?? []).filter((trace) => trace.visible === "legendonly").map((trace) => trace.name));
    const kept = data.map((trace) => (hidden.has(trace.name) ? { ...trace, visible: "legendonly" } : trace));
    if (element.dataset.drawn) draw(element, { data: kept, layout });
    const table = `#figure-${CSS.escape(element.dataset.chart)} tbody`;
    const rows = fresh.querySelector(table);
    if (rows) document.querySelector(table)?.replaceWith(rows);
  }

  function takeParts(fresh) {
    for (const part of document.querySelectorAll("[data-live-part][id]")) {
      const now = fresh.getElementById(part.id);
      if (!now || part.contains(document.activeElement)) continue;
      keep(part, now);
      part.replaceWith(now);
    }
  }

  /* The whole page anew, because it is of something else now: charts, tables and words always belong together. */
  function takePage(fresh) {
    const main = document.querySelector("main");
    const now = fresh.querySelector("main");
    const at = document.activeElement?.id;
    keep(main, now);
    main.replaceWith(now);
    window.htmx?.process(now);
    drawAll(now);
    if (at) document.getElementById(at)?.focus();
    document.dispatchEvent(new Event("rlwhf:content"));
  }

  /* What somebody ticked, chose or typed, and what they opened, goes over into the fresh copy. */
  function keep(before, now) {
    const fields = (root) => [...root.querySelectorAll("input:not([type=hidden]):not([type=submit]), select, textarea")];
    const isBox = (field) => field.type === "checkbox" || field.type === "radio";
    const nameOf = (field) => (isBox(field) ? `${field.name}=${field.value}` : field.id || field.name);
    const fresh = new Map(fields(now).map((field) => [nameOf(field), field]));
    for (const field of fields(before)) {
      const copy = fresh.get(nameOf(field));
      if (!copy) continue;
      if (isBox(field)) {
        if (field.checked !== field.defaultChecked) copy.checked = field.checked;
      } else if (field.tagName === "SELECT") {
        const offered = [...field.options].find((option) => option.defaultSelected) ?? field.options[0];
        const isThere = [...copy.options].some((option) => option.value === field.value);
        if (field.value !== offered?.value && isThere) copy.value = field.value;
      } else if (field.value !== field.defaultValue) copy.value = field.value;
    }
    const opened = (root) => [...root.querySelectorAll("details:not(.menu)")];
    const told = (details) => `${details.closest("[id]")?.id} ${details.querySelector("summary")?.textContent.replace(/\d+/g, "").trim()}`;
    const open = new Set(opened(before).filter((details) => details.open).map(told));
    for (const details of opened(now)) details.open ||= open.has(told(details));
  }

  const drawnIn = (root) => [...root.querySelectorAll(".chart[data-chart]")].map((one) => one.dataset.chart).join(" ");
  const isOf = (root) => root.querySelector("[data-live-of]")?.dataset.liveOf;
  const isTyping = () => document.activeElement?.matches("main textarea, main select, main input:not([type=checkbox]):not([type=radio])");

  /* After the third failure the page says of when it is; after the first, where it is no longer this person's to see. */
  let failures = 0;
  let seen = new Date();
  function unheard(live, isLost) {
    failures += 1;
    if (failures < 3 && !isLost) return;
    const notice = document.getElementById("live-unheard") ?? document.createElement("p");
    notice.id = "live-unheard";
    notice.className = "notice notice--warn";
    notice.setAttribute("role", "status");
    const texts = document.body.dataset;
    notice.textContent = (isLost ? texts.liveLost : texts.liveUnheard).replace("{time}", seen.toLocaleTimeString());
    if (!notice.isConnected) live.prepend(notice);
  }

  async function follow() {
    const live = document.querySelector("[data-charts-live]");
    if (!live) return;
    await new Promise((resolve) => setTimeout(resolve, 1000 * Number(live.dataset.chartsLive)));
    if (document.hidden || !live.isConnected) return follow();
    const answer = await fetch(location.href).catch(() => null);
    const isLost = answer?.redirected || answer?.status === 403;
    if (!answer?.ok || isLost) {
      unheard(live, isLost);
      return isLost ? undefined : follow();
    }
    failures = 0;
    seen = new Date();
    document.getElementById("live-unheard")?.remove();
    take(live, new DOMParser().parseFromString(await answer.text(), "text/html"));
    follow();
  }

  function take(live, fresh) {
    if (drawnIn(fresh) !== drawnIn(document) || isOf(fresh) !== isOf(document)) {
      if (!isTyping()) takePage(fresh);
      return;
    }
    for (const element of document.querySelectorAll(".chart[data-chart]")) takeFigure(fresh, element);
    takeParts(fresh);
    document.dispatchEvent(new Event("rlwhf:content"));
    if (!fresh.querySelector("[data-charts-live]")) live.removeAttribute("data-charts-live");
  }

  window.rlwhfCharts = { append, draw, drawAll, token };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
  document.addEventListener("htmx:load", (event) => drawAll(event.detail.elt));
  drawAll(document);
  follow();
})();

"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const root = document.documentElement;
  root.classList.add("js");

  // --- light and dark: the system's until a person chooses
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("mlinfra-theme"); } catch { return null; } };
  const paint = (theme) => { root.dataset.theme = theme; };
  paint(stored() || (dark.matches ? "dark" : "light"));
  dark.addEventListener("change", (e) => { if (!stored()) paint(e.matches ? "dark" : "light"); });
  const turn = () => {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    paint(theme);
    try { localStorage.setItem("mlinfra-theme", theme); } catch { /* a page from a file may not keep anything */ }
  };

  // --- search and filters
  const changes = $$(".change");
  const search = $("#search");
  const pressed = { risk: new Set(), action: new Set() };
  let component = null;
  const texts = new Map(changes.map((c) => [c, c.textContent.toLowerCase()]));
  const visible = () => changes.filter((c) => !c.hidden);

  function unmark(element) {
    for (const mark of $$("mark", element)) { mark.replaceWith(mark.textContent); }
    element.normalize();
  }
  function markWords(element, words) {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const nodes = [];
    while (walker.nextNode()) nodes.push(walker.currentNode);
    for (const node of nodes) {
      const low = node.data.toLowerCase();
      let at = -1, word = "";
      for (const w of words) {
        const i = low.indexOf(w);
        if (i >= 0 && (at < 0 || i < at)) { at = i; word = w; }
      }
      if (at < 0) continue;
      const found = node.splitText(at);
      const rest = found.splitText(word.length);
      const mark = document.createElement("mark");
      found.replaceWith(mark);
      mark.append(found);
      if (rest.data) nodes.push(rest);
    }
  }
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const c of changes) {
      unmark(c);
      const fits = words.every((w) => texts.get(c).includes(w))
        && (!pressed.risk.size || pressed.risk.has(c.dataset.risk))
        && (!pressed.action.size || pressed.action.has(c.dataset.action))
        && (component === null || c.dataset.component === component);
      c.hidden = !fits;
      if (fits) {
        shown += 1;
        if (words.length) markWords(c, words);
      }
    }
    for (const group of $$(".group")) group.hidden = !$$(".change:not([hidden])", group).length;
    const all = shown === changes.length;
    $("#found").textContent = all ? "" : `${shown} of ${changes.length} changes shown` + (component === null ? "" : ` (${component})`);
    $("#clear").hidden = all && !words.length && component === null;
  }
  function clear() {
    search.value = "";
    component = null;
    pressed.risk.clear();
    pressed.action.clear();
    $$(".chip[aria-pressed]").forEach((chip) => chip.setAttribute("aria-pressed", "false"));
    select(null);
    filter();
  }
  if (search) {
    search.addEventListener("input", filter);
    $("#clear").addEventListener("click", clear);
    for (const chip of $$(".chip[data-of]")) {
      chip.addEventListener("click", () => {
        const set = pressed[chip.dataset.of];
        const on = !set.delete(chip.dataset.value);
        if (on) set.add(chip.dataset.value);
        chip.setAttribute("aria-pressed", String(on));
        filter();
      });
    }
  }

  // --- the graph: choose a node to see what it comes from and what it leads to
  const svg = $("#graph");
  const nodes = new Map($$(".node").map((n) => [n.dataset.name, n]));
  const edges = $$(".edge");
  let view = null;
  function reach(start, from, to) {
    const seen = new Set(), left = [start];
    while (left.length) {
      const name = left.pop();
      for (const e of edges) {
        if (e.dataset[from] === name && !seen.has(e.dataset[to])) { seen.add(e.dataset[to]); left.push(e.dataset[to]); }
      }
    }
    seen.delete(start);
    return seen;
  }
  function say(html) { const place = $("#say"); if (place) place.replaceChildren(...html); }
  function bold(text) { const b = document.createElement("b"); b.textContent = text; return b; }
  function names(set) { const list = [...set]; return list.length ? list.slice(0, 12).join(", ") + (list.length > 12 ? ` and ${list.length - 12} more` : "") : "nothing"; }
  function select(name) {
    if (!svg) return;
    for (const element of [...nodes.values(), ...edges]) element.classList.remove("on", "is-selected");
    svg.classList.toggle("has-selection", name !== null);
    if (name === null) { say(["Choose a node to see what it comes from and what it leads to."]); return; }
    const up = reach(name, "to", "from"), down = reach(name, "from", "to");
    nodes.get(name).classList.add("is-selected");
    for (const n of [...up, ...down]) nodes.get(n)?.classList.add("on");
    const line = new Set([name, ...up]), tail = new Set([name, ...down]);
    for (const e of edges) {
      const inUp = line.has(e.dataset.from) && line.has(e.dataset.to), inDown = tail.has(e.dataset.from) && tail.has(e.dataset.to);
      e.classList.toggle("on", inUp || inDown);
    }
    say([bold(name), ` (${nodes.get(name).dataset.kind}) comes from `, bold(names(up)), " and leads to ", bold(names(down)), "."]);
  }
  function choose(name) {
    if (component === name) { component = null; select(null); } else { component = name; select(name); }
    if (search) filter();
    const first = component === null ? null : visible()[0];
    if (first) first.open = true;
  }
  if (svg) {
    const box = svg.viewBox.baseVal;
    const whole = { x: box.x, y: box.y, width: box.width, height: box.height };
    view = { ...whole };
    const show = () => svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
    const zoom = (factor, cx = view.x + view.width / 2, cy = view.y + view.height / 2) => {
      const width = Math.min(Math.max(view.width * factor, 120), whole.width * 3), f = width / view.width;
      view = { x: cx - (cx - view.x) * f, y: cy - (cy - view.y) * f, width, height: view.height * f };
      show();
    };
    $("#zoom-in").addEventListener("click", () => zoom(0.75));
    $("#zoom-out").addEventListener("click", () => zoom(1.33));
    $("#zoom-fit").addEventListener("click", () => { view = { ...whole }; show(); });
    svg.addEventListener("wheel", (e) => {
      if (!e.ctrlKey && !e.metaKey) return;
      e.preventDefault();
      const p = new DOMPoint(e.clientX, e.clientY).matrixTransform(svg.getScreenCTM().inverse());
      zoom(e.deltaY > 0 ? 1.1 : 0.9, p.x, p.y);
    }, { passive: false });
    let drag = null;
    svg.addEventListener("pointerdown", (e) => { drag = { x: e.clientX, y: e.clientY, moved: false, vx: view.x, vy: view.y }; });
    addEventListener("pointermove", (e) => {
      if (!drag) return;
      const scale = 1 / svg.getScreenCTM().a, dx = e.clientX - drag.x, dy = e.clientY - drag.y;
      if (!drag.moved && Math.hypot(dx, dy) < 5) return;
      drag.moved = true;
      svg.classList.add("dragging");
      view.x = drag.vx - dx * scale;
      view.y = drag.vy - dy * scale;
      show();
    });
    addEventListener("pointerup", () => { svg.classList.remove("dragging"); setTimeout(() => { drag = null; }); });
    for (const [name, node] of nodes) {
      node.addEventListener("click", () => { if (!drag?.moved) choose(name); });
      node.addEventListener("keydown", (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); choose(name); } });
    }
    select(null);
  }

  // --- keyboard
  const help = $("#help");
  let current = -1;
  function move(step) {
    const list = visible();
    if (!list.length) return;
    current = Math.min(Math.max(list.indexOf(changes[current]) + step, 0), list.length - 1);
    changes.forEach((c) => c.classList.remove("is-selected"));
    const c = list[current];
    current = changes.indexOf(c);
    c.classList.add("is-selected");
    $("summary", c).focus({ preventScroll: true });
    c.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }
  function openAll() { const list = visible(); const open = !list.every((c) => c.open); list.forEach((c) => { c.open = open; }); }
  const keys = {
    "/": () => search?.focus(), j: () => move(1), k: () => move(-1), e: openAll, t: turn,
    g: () => { $("#lineage")?.scrollIntoView(); $(".node")?.focus({ preventScroll: true }); }, "?": () => help.showModal(),
  };
  addEventListener("keydown", (e) => {
    if (e.key === "Escape" && !help.open) { clear(); document.activeElement?.blur(); return; }
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.matches("input, textarea")) return;
    const act = keys[e.key];
    if (act) { e.preventDefault(); act(); }
  });
  $("#theme").addEventListener("click", turn);
  $("#keys").addEventListener("click", keys["?"]);
  $("#expand")?.addEventListener("click", openAll);
  for (const link of $$("a[data-change]")) {
    link.addEventListener("click", () => { const c = document.getElementById(link.dataset.change); if (c) { if (c.hidden) clear(); c.open = true; } });
  }

  // --- paper shows everything
  let before = [];
  addEventListener("beforeprint", () => { before = changes.filter((c) => !c.open); before.forEach((c) => { c.open = true; }); });
  addEventListener("afterprint", () => before.forEach((c) => { c.open = false; }));
})();

"use strict";
// Rows of the data: [step, µs, from, to, sort, title, detail, thread, difference].
const STEP = 0, AT = 1, FROM = 2, TO = 3, SORT = 4, TITLE = 5, DETAIL = 6, THREAD = 7, OTHER = 8;
// Sorts of messages, what they are called, and whether they are shown at first.
const SORTS = {
  request: ["requests", true], reply: ["replies", true], error: ["errors", true],
  notice: ["notifications", true], delta: ["small parts", true], legacy: ["older dialect", false],
  work: ["calls", true], upkeep: ["timers, writes", false],
};
const ROW = 24, GAP_ROW = 26, GUTTER = 108;
// A pause that is worth a line of its own, in µs.
const PAUSE = 200e3;

let data, rows, view = [], tops = [], height = 0, lanes = [], laneX = [];
let picked = -1, query = "", hits = [], hitSet = new Set(), opened = new Set(), threads = new Map();
let whole = null;
const shown = {};
const $ = (id) => document.getElementById(id);
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name);

function begin() {
  data = JSON.parse($("data").textContent);
  rows = data.rows;
  rows.forEach((row, i) => {
    if (row[THREAD] === null) return;
    const list = threads.get(row[THREAD]);
    if (list) list.push(i); else threads.set(row[THREAD], [i]);
  });
  const used = new Set([0, 1]);
  rows.forEach((row) => { used.add(row[FROM]); used.add(row[TO]); });
  lanes = data.parties.map((_, i) => i).filter((i) => used.has(i));
  showFacts();
  showSorts();
  setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  listen();
  layOut();
  const wrong = rows.findIndex((row) => row[OTHER] !== null);
  const wanted = Number((location.hash.match(/^#step=(\d+)$/) || [])[1]);
  const at = rows.findIndex((row) => row[STEP] >= wanted);
  if (rows.length) pick(at >= 0 ? at : wrong >= 0 ? wrong : view.length ? first(view[0]) : 0);
  else $("detail").textContent = "Nothing was recorded.";
}

function showFacts() {
  const length = rows.length ? rows[rows.length - 1][AT] : 0;
  const begun = new Date(data.begun);
  const facts = [
    begun.toISOString().replace("T", " ").slice(0, 19) + " UTC", span(length),
    data.steps + " steps", rows.length + " messages", "understudy " + data.version,
  ];
  if (data.end) facts.push(data.end);
  $("facts").textContent = facts.join(" · ");
  const verdict = $("verdict");
  if (data.difference) {
    verdict.textContent = "step " + data.difference[0] + " differs";
    verdict.className = "chip other";
    verdict.onclick = () => pick(rows.findIndex((row) => row[OTHER] !== null));
  } else {
    verdict.textContent = data.played < data.steps ? "the same so far" : "plays the same";
    verdict.className = "chip same";
  }
}

function showSorts() {
  const counts = {};
  rows.forEach((row) => { counts[row[SORT]] = (counts[row[SORT]] || 0) + 1; });
  for (const [sort, [name, on]] of Object.entries(SORTS)) {
    if (!counts[sort]) continue;
    shown[sort] = on;
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = on;
    box.onchange = () => { shown[sort] = box.checked; layOut(); };
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.style.background = "var(--" + sort + ")";
    label.append(box, dot, name + " " + counts[sort]);
    $("sorts").append(label);
  }
}

// ---- what is shown, and where ----

const first = (item) => item.rows[0];
const isPart = (row) => row[SORT] === "delta";

/// Groups small parts that follow each other, and puts everything on its height.
function layOut() {
  const only = $("only").checked && query !== "";
  const wanted = [];
  rows.forEach((row, i) => {
    if (row[OTHER] !== null || (shown[row[SORT]] && (!only || hitSet.has(i)))) wanted.push(i);
  });
  view = [];
  for (let n = 0; n < wanted.length; n++) {
    let end = n;
    while (end < wanted.length && isPart(rows[wanted[end]]) && rows[wanted[end]][OTHER] === null) end++;
    const group = wanted.slice(n, end);
    if (group.length > 3) {
      const isOpen = opened.has(group[0]);
      view.push({ rows: group, group: true, open: isOpen });
      if (isOpen) group.forEach((i) => view.push({ rows: [i], inner: true }));
      n = end - 1;
    } else {
      view.push({ rows: [wanted[n]] });
    }
  }
  tops = new Array(view.length);
  let y = 6, before = null;
  view.forEach((item, n) => {
    const at = rows[first(item)][AT];
    const pause = before === null ? 0 : at - before;
    item.pause = pause > PAUSE ? pause : 0;
    // Time is height, but not much of it.
    y += item.pause ? GAP_ROW : pause > 50e3 ? 12 : pause > 10e3 ? 7 : pause > 1e3 ? 3 : 0;
    tops[n] = y;
    y += ROW;
    before = rows[item.rows[item.rows.length - 1]][AT];
    if (item.group && item.open) before = at;
  });
  height = y + 40;
  $("room").style.height = height + "px";
  place();
}

function place() {
  const width = $("scroll").clientWidth;
  const step = (width - GUTTER - 80) / Math.max(1, lanes.length - 1);
  laneX = data.parties.map(() => 0);
  lanes.forEach((lane, n) => { laneX[lane] = GUTTER + 30 + Math.min(step, 260) * n; });
  const heads = $("lanes");
  heads.textContent = "";
  const time = document.createElement("span");
  time.className = "time";
  time.textContent = "time";
  heads.append(time);
  lanes.forEach((lane) => {
    const head = document.createElement("span");
    head.style.left = laneX[lane] + "px";
    head.textContent = data.parties[lane];
    heads.append(head);
  });
  draw();
  drawStrip();
}

/// The first item of the view that ends below this height.
function itemAt(y) {
  let low = 0, high = view.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (tops[mid] + ROW < y) low = mid + 1; else high = mid;
  }
  return low;
}

/// The first item of the view that does not come before this row.
function itemOf(row) {
  let low = 0, high = view.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    const item = view[mid];
    const last = item.rows[item.group && item.open ? 0 : item.rows.length - 1];
    if (last < row) low = mid + 1; else high = mid;
  }
  return low;
}

// ---- drawing ----

function node(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  return made;
}

function draw() {
  const scroll = $("scroll"), drawing = $("drawing");
  const top = scroll.scrollTop, seen = scroll.clientHeight, width = scroll.clientWidth;
  drawing.setAttribute("width", width);
  drawing.setAttribute("height", seen);
  drawing.style.top = top + "px";
  const parts = [];
  lanes.forEach((lane) => {
    parts.push(node("line", { class: "life", x1: laneX[lane], x2: laneX[lane], y1: 0, y2: seen }));
  });
  const from = itemAt(top), until = top + seen;
  parts.push(...drawBusy(from, top, until));
  for (let n = from; n < view.length && tops[n] - GAP_ROW < until; n++) {
    parts.push(drawItem(n, tops[n] - top, width));
  }
  drawing.replaceChildren(...parts);
}

/// The time from the first to the last message of each call that is seen.
function drawBusy(from, top, until) {
  const bars = [], done = new Set();
  const firstRow = view.length && from < view.length ? first(view[from]) : 0;
  const to = Math.min(view.length - 1, itemAt(until));
  const lastRow = to >= 0 && view.length ? view[to].rows[view[to].rows.length - 1] : 0;
  for (const [thread, list] of threads) {
    if (list.length < 2 || list[0] > lastRow || list[list.length - 1] < firstRow) continue;
    const lane = Math.max(rows[list[0]][TO], rows[list[0]][FROM]);
    if (lane < 2 || done.has(thread)) continue;
    done.add(thread);
    const start = itemOf(list[0]), end = Math.min(itemOf(list[list.length - 1]), view.length - 1);
    if (start > end || end - start < 1) continue;
    const y1 = Math.max(tops[start] + ROW / 2 - top, -10);
    const y2 = Math.min(tops[end] + ROW / 2 - top, until - top + 10);
    bars.push(node("rect", { class: "busy", x: laneX[lane] - 4, y: y1, width: 8, height: Math.max(0, y2 - y1), rx: 2 }));
  }
  return bars;
}

function drawItem(n, y, width) {
  const item = view[n], i = first(item), row = rows[i], mid = y + ROW / 2 + 3;
  const isPicked = item.group && !item.open ? item.rows.includes(picked) : !item.group && i === picked;
  const isHit = item.rows.some((r) => hitSet.has(r)) && query !== "";
  const made = node("g", { class: (isPicked ? "picked " : "") + (isHit && !isPicked ? "hit" : ""), "data-n": n });
  if (item.pause) {
    made.append(
      node("line", { class: "gap", x1: 12, x2: width - 12, y1: y - GAP_ROW / 2, y2: y - GAP_ROW / 2 }),
      node("text", { class: "gap title", x: 12, y: y - GAP_ROW / 2 + 4 }, span(item.pause) + " later"));
  }
  const back = isPicked ? "pick" : row[OTHER] !== null ? "alarm" : isHit ? "hit" : "";
  made.append(node("rect", { class: back, x: 0, y, width, height: ROW, fill: "transparent" }));
  const before = n > 0 ? rows[first(view[n - 1])][AT] : -1;
  if (row[AT] !== before || y < ROW) {
    made.append(node("text", { class: "time", x: 12, y: mid + 1 }, clock(row[AT])));
  }
  if (item.group) {
    made.append(...drawGroup(item, mid, width));
  } else {
    made.append(...drawArrow(row, mid, item.inner));
  }
  return made;
}

function drawArrow(row, y, inner) {
  const stroke = "var(--" + row[SORT] + ")";
  const a = laneX[row[FROM]], b = laneX[row[TO]];
  const label = { x: Math.min(a, b) + 10, y: y - 3 };
  const parts = [];
  if (a === b) {
    parts.push(node("circle", { cx: a, cy: y - 1, r: 3.5, fill: stroke }));
    label.y = y + 3;
  } else {
    const way = b > a ? 1 : -1, line = { x1: a, x2: b - way * 5, y1: y + 2, y2: y + 2, stroke, "stroke-width": 1.5 };
    if (row[SORT] === "reply") line["stroke-dasharray"] = "5 3";
    parts.push(node("line", line));
    parts.push(node("path", { d: `M${b} ${y + 2} l${-way * 7} -3.5 v7 z`, fill: stroke }));
  }
  const text = node("text", { class: "title", ...label });
  const title = node("tspan", {}, (inner ? "· " : "") + clip(short(row[TITLE]), 70));
  title.style.fill = row[SORT] === "notice" ? "" : stroke;
  text.append(title);
  const note = brief(row);
  if (note) text.append(node("tspan", { class: "brief", dx: 10 }, clip(note, 90)));
  parts.push(text);
  return parts;
}

function drawGroup(item, y, width) {
  const lanesOf = new Set(), counts = new Map();
  let lastAt = 0;
  item.rows.forEach((i) => {
    lanesOf.add(laneX[rows[i][FROM]]).add(laneX[rows[i][TO]]);
    counts.set(rows[i][TITLE], (counts.get(rows[i][TITLE]) || 0) + 1);
    lastAt = rows[i][AT];
  });
  const xs = [...lanesOf], left = Math.min(...xs), right = Math.max(...xs);
  const most = [...counts].sort((a, b) => b[1] - a[1]);
  const kinds = most.slice(0, 2).map(([title, n]) => n + " × " + clip(title.split(":")[0], 44));
  if (most.length > 2) kinds.push("…");
  const text = (item.open ? "▾ " : "▸ ") + kinds.join(", ") + "  in " + span(lastAt - rows[first(item)][AT]);
  return [
    node("rect", { x: left, y: y - 8, width: right - left, height: 16, rx: 8, fill: "var(--panel)", stroke: "var(--delta)" }),
    node("text", { class: "brief", x: left + 10, y: y + 4 }, text),
  ];
}

/// What a message is about, in a few words.
function brief(row) {
  const text = row[DETAIL];
  if (!text || text[0] !== "{" || text.length > 20000) return "";
  let value;
  try { value = JSON.parse(text); } catch { return ""; }
  const params = value.params || value.result || value;
  const item = params.item || params.msg || params;
  const said = [
    item.type, item.status, item.command && [].concat(item.command).join(" "),
    params.delta, typeof item.text === "string" ? item.text : "", params.turn && params.turn.status,
    value.error && value.error.message, params.reason, params.decision,
    Array.isArray(params.input) && params.input[0] && params.input[0].text,
  ];
  return said.filter((part) => typeof part === "string" && part && part !== row[TITLE]).join(" · ").replace(/\s+/g, " ");
}

/// An address without what is the same everywhere.
const short = (title) => title.replace(/^(GET|POST) https?:\/\/[^/\s]*([^?\s]*).*$/, "$1 $2");
const clip = (text, most) => text.length > most ? text.slice(0, most - 1) + "…" : text;

function clock(us) {
  const s = us / 1e6;
  if (s < 60) return s.toFixed(4) + " s";
  const whole = Math.floor(s), pad = (n) => String(n).padStart(2, "0");
  const h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60;
  return (h ? h + ":" + pad(m) : m) + ":" + pad(whole % 60) + "." + String(Math.floor((s % 1) * 1e3)).padStart(3, "0");
}

function span(us) {
  if (us < 1e3) return us + " µs";
  if (us < 1e6) return (us / 1e3).toFixed(us < 1e4 ? 1 : 0) + " ms";
  if (us < 60e6) return (us / 1e6).toFixed(1) + " s";
  const m = Math.floor(us / 60e6);
  return m < 60 ? m + " min " + Math.floor(us / 1e6) % 60 + " s" : Math.floor(m / 60) + " h " + (m % 60) + " min";
}

/// The next round span of time that is not shorter than this one.
function niceStep(us) {
  const minutes = [60e6, 120e6, 300e6, 600e6, 900e6, 1800e6, 3600e6, 7200e6, 21600e6];
  if (us > 30e6) return minutes.find((step) => step >= us) || 86400e6;
  const power = 10 ** Math.floor(Math.log10(Math.max(us, 1)));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= us);
}

function tick(us, gap) {
  if (gap < 1e6) return gap < 1e3 ? us / 1e3 + " ms" : +(us / 1e6).toFixed(3) + " s";
  return gap < 60e6 ? us / 1e6 + " s" : us < 3600e6 ? us / 60e6 + " min" : +(us / 3600e6).toFixed(2) + " h";
}

/// The whole session on a straight time axis: where something happened, who with, what is seen.
function drawStrip() {
  const strip = document.createElement("canvas"), scale = devicePixelRatio || 1, width = $("strip").clientWidth, high = 44;
  strip.width = width * scale;
  strip.height = high * scale;
  const pen = strip.getContext("2d");
  pen.scale(scale, scale);
  const length = Math.max(1, rows.length ? rows[rows.length - 1][AT] : 1);
  const x = (us) => 2 + (us / length) * (width - 4);
  const cells = new Set();
  const lane = (row) => Math.max(0, lanes.indexOf(row[FROM] === 1 ? row[TO] : row[FROM]));
  const step = 28 / Math.max(1, lanes.length);
  const paint = {};
  for (const sort in SORTS) paint[sort] = color(sort);
  rows.forEach((row, i) => {
    const isHit = query !== "" && hitSet.has(i);
    if (!shown[row[SORT]] && row[OTHER] === null && !isHit) return;
    const at = Math.round(x(row[AT])), key = at + ":" + lane(row) + ":" + row[SORT] + isHit;
    if (cells.has(key)) return;
    cells.add(key);
    pen.fillStyle = paint[row[SORT]];
    pen.fillRect(at, 3 + lane(row) * step, 1.5, step - 1);
    if (isHit) { pen.fillStyle = paint.upkeep; pen.fillRect(at - 1, 0, 3, 3); }
    if (row[OTHER] !== null) { pen.fillStyle = paint.error; pen.fillRect(at - 1, 0, 3, 32); }
  });
  pen.fillStyle = color("soft");
  pen.font = "10px system-ui, sans-serif";
  const gap = niceStep(length * 110 / width);
  for (let us = 0; us <= length; us += gap) {
    pen.textAlign = us === 0 ? "left" : x(us) > width - 30 ? "right" : "center";
    pen.fillText(tick(us, gap), x(us), 42);
  }
  whole = strip;
  drawSeen();
}

/// The strip, and on it what of the session is seen in the chart.
function drawSeen() {
  if (!whole) return;
  const strip = $("strip"), scale = devicePixelRatio || 1, width = strip.clientWidth;
  strip.width = whole.width;
  strip.height = whole.height;
  const pen = strip.getContext("2d");
  pen.drawImage(whole, 0, 0);
  pen.scale(scale, scale);
  const length = Math.max(1, rows.length ? rows[rows.length - 1][AT] : 1);
  const x = (us) => 2 + (us / length) * (width - 4);
  const scroll = $("scroll"), from = itemAt(scroll.scrollTop);
  const to = Math.min(view.length - 1, itemAt(scroll.scrollTop + scroll.clientHeight));
  if (view.length && from < view.length) {
    const a = x(rows[first(view[from])][AT]), b = x(rows[first(view[to])][AT]);
    pen.strokeStyle = color("request");
    pen.lineWidth = 1.5;
    pen.strokeRect(a - 1, 1, Math.max(4, b - a + 2), 31);
  }
}

// ---- picking ----

function pick(row, isQuiet) {
  if (row < 0 || row >= rows.length) return;
  picked = row;
  if (!isQuiet) {
    const n = itemOf(row), scroll = $("scroll"), top = tops[Math.min(n, view.length - 1)] || 0;
    if (top < scroll.scrollTop + 30) scroll.scrollTop = Math.max(0, top - 60);
    else if (top + ROW > scroll.scrollTop + scroll.clientHeight - 30) {
      scroll.scrollTop = top - scroll.clientHeight / 2;
    }
  }
  history.replaceState(null, "", "#step=" + rows[row][STEP]);
  showDetail();
  draw();
}

/// The next item in this direction; groups that are closed count as one.
function move(way) {
  let n = itemOf(picked);
  if (n < view.length && view[n].group && view[n].open && first(view[n]) === picked) n++;
  n += way;
  while (n >= 0 && n < view.length && view[n].group && view[n].open) n += way;
  if (n >= 0 && n < view.length) pick(first(view[n]));
}

function toggle(n) {
  const item = view[n];
  if (!item) return;
  let key = first(item);
  if (item.inner) while (n > 0 && !view[n].group) key = first(view[--n]);
  else if (!item.group) return;
  if (opened.has(key)) opened.delete(key); else opened.add(key);
  layOut();
  pick(key);
}

function showDetail() {
  const row = rows[picked], detail = $("detail");
  const add = (name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    detail.append(made);
    return made;
  };
  detail.textContent = "";
  add("h2", row[TITLE]);
  const way = row[FROM] === row[TO] ? data.parties[row[FROM]] : data.parties[row[FROM]] + " → " + data.parties[row[TO]];
  const when = new Date(new Date(data.begun).getTime() + row[AT] / 1e3).toISOString().slice(11, 23);
  add("div", way + " · step " + row[STEP] + " · " + clock(row[AT]) + " · " + when + " UTC", "meta");
  if (row[OTHER] !== null) add("div", row[OTHER], "alarm");
  const group = view[itemOf(picked)];
  if (group && group.group && !group.open && group.rows.includes(picked)) {
    add("button", "Show the " + group.rows.length + " parts").onclick = () => toggle(itemOf(picked));
    const texts = group.rows.map((i) => part(rows[i])).join("");
    if (texts) add("pre", texts);
  }
  showRelated(row, add);
  if (row[DETAIL]) {
    const copy = add("button", "Copy");
    copy.onclick = () => {
      if (!navigator.clipboard) return getSelection().selectAllChildren(detail.querySelector("pre:last-of-type"));
      navigator.clipboard.writeText(row[DETAIL]).then(() => { copy.textContent = "Copied"; });
    };
    const pre = add("pre");
    paint(pre, pretty(row[DETAIL]));
  }
  detail.scrollTop = 0;
}

/// The text that a small part from the backend or a program adds.
function part(row) {
  if (row[FROM] === 4) return row[DETAIL];
  if (row[FROM] !== 2) return "";
  try { const delta = JSON.parse(row[DETAIL]).delta; return typeof delta === "string" ? delta : ""; } catch { return ""; }
}

function showRelated(row, add) {
  const list = row[THREAD] === null ? [] : threads.get(row[THREAD]);
  if (list.length < 2) return;
  const lines = add("ul"), at = list.indexOf(picked);
  const near = list.filter((_, n) => n === 0 || n === list.length - 1 || Math.abs(n - at) <= 2);
  near.forEach((i) => {
    const line = document.createElement("li"), button = document.createElement("button");
    const after = rows[i][AT] - rows[list[0]][AT];
    button.textContent = (i === list[0] ? clock(rows[i][AT]) : "+" + span(after)) + "  " + clip(rows[i][TITLE], 60);
    button.onclick = () => { show(i); pick(i); };
    if (i === picked) line.className = "here";
    line.append(button);
    lines.append(line);
  });
}

/// Makes a message visible that is not: its sort, its group.
function show(i) {
  if (!shown[rows[i][SORT]]) {
    shown[rows[i][SORT]] = true;
    [...$("sorts").children].forEach((label) => {
      if (label.textContent.startsWith(SORTS[rows[i][SORT]][0])) label.firstChild.checked = true;
    });
    layOut();
  }
}

function pretty(text) {
  const start = text.trimStart()[0];
  if (start === "{" || start === "[") {
    try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
  }
  const at = text.indexOf("\n\n");
  if (at > 0) return text.slice(0, at + 2) + pretty(text.slice(at + 2));
  return text;
}

/// JSON in colours, with matches marked.
function paint(pre, text) {
  const words = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b|\b(?:true|false|null)\b/g;
  let at = 0, found;
  const put = (piece, kind) => {
    const holder = kind ? document.createElement("span") : document.createDocumentFragment();
    if (kind) holder.className = kind;
    markHits(holder, piece);
    pre.append(holder);
  };
  const isJson = /[{[]\s/.test(text.slice(0, 2)) || text.includes("\n{");
  while (isJson && text.length < 200000 && (found = words.exec(text))) {
    put(text.slice(at, found.index));
    const kind = found[1] ? (found[2] ? "key" : "str") : /[tfn]/.test(found[0][0]) ? "lit" : "num";
    put(found[1] || found[0], kind);
    if (found[2]) put(found[2]);
    at = found.index + found[0].length;
  }
  put(text.slice(at));
}

function markHits(holder, text) {
  const low = text.toLowerCase();
  let at = 0, found;
  while (query && (found = low.indexOf(query, at)) >= 0) {
    holder.append(text.slice(at, found));
    const mark = document.createElement("mark");
    mark.textContent = text.slice(found, found + query.length);
    holder.append(mark);
    at = found + query.length;
  }
  holder.append(text.slice(at));
}

// ---- searching ----

function search() {
  query = $("search").value.trim().toLowerCase();
  hits = [];
  if (query) {
    rows.forEach((row, i) => {
      if (row[TITLE].toLowerCase().includes(query) || row[DETAIL].toLowerCase().includes(query)) hits.push(i);
    });
  }
  hitSet = new Set(hits);
  showFound();
  layOut();
}

function showFound() {
  const at = hits.indexOf(picked);
  $("found").textContent = query ? (at >= 0 ? at + 1 + " of " : "") + hits.length + " found" : "";
}

function jump(list, way) {
  if (!list.length) return;
  const next = way > 0 ? list.find((i) => i > picked) : list.findLast((i) => i < picked);
  const i = next === undefined ? list[way > 0 ? 0 : list.length - 1] : next;
  show(i);
  pick(i);
  showFound();
}

// ---- the outside ----

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  if (view.length) drawStrip();
}

function listen() {
  let waits = false, typing;
  $("scroll").onscroll = () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => { waits = false; draw(); drawSeen(); });
  };
  new ResizeObserver(place).observe($("scroll"));
  $("drawing").onclick = (event) => {
    const item = event.target.closest("[data-n]");
    if (!item) return;
    const n = Number(item.dataset.n);
    if (view[n].group && event.detail > 1) return;
    if (view[n].group) { const wasPicked = view[n].rows.includes(picked); pick(first(view[n]), true); if (wasPicked || view[n].open) toggle(n); }
    else pick(first(view[n]), true);
  };
  $("search").oninput = () => { clearTimeout(typing); typing = setTimeout(search, 120); };
  $("only").onchange = layOut;
  $("next").onclick = () => jump(hits, 1);
  $("prev").onclick = () => jump(hits, -1);
  $("theme").onclick = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  $("help").onclick = () => $("keys").showModal();
  $("strip").onclick = (event) => {
    const length = rows.length ? rows[rows.length - 1][AT] : 0;
    const at = (event.offsetX / $("strip").clientWidth) * length;
    const near = view.findIndex((item) => rows[first(item)][AT] >= at);
    pick(first(view[near < 0 ? view.length - 1 : near]));
  };
  $("grip").onpointerdown = (event) => {
    $("grip").setPointerCapture(event.pointerId);
    $("grip").onpointermove = (move) => { $("detail").style.width = innerWidth - move.clientX + "px"; };
    $("grip").onpointerup = () => { $("grip").onpointermove = null; };
  };
  document.onkeydown = onKey;
}

function onKey(event) {
  const field = event.target === $("search");
  if (field) {
    if (event.key === "Enter") { search(); jump(hits, event.shiftKey ? -1 : 1); }
    else if (event.key === "Escape") { $("search").value = ""; search(); $("scroll").focus(); }
    else return;
    event.preventDefault();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  const errors = () => rows.map((_, i) => i).filter((i) => rows[i][SORT] === "error" || rows[i][OTHER] !== null);
  const keys = {
    ArrowDown: () => move(1), j: () => move(1), ArrowUp: () => move(-1), k: () => move(-1),
    n: () => jump(hits, 1), p: () => jump(hits, -1), e: () => jump(errors(), 1),
    r: () => jump((rows[picked] && threads.get(rows[picked][THREAD])) || [], 1),
    x: () => toggle(itemOf(picked)), "/": () => $("search").focus(), "?": () => $("keys").showModal(),
    Home: () => view.length && pick(first(view[0])),
    End: () => view.length && pick(first(view[view.length - 1])),
  };
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

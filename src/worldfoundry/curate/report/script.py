"""The page's scripts: plain JavaScript without a library; every page reads well without them, too."""

WHAT_IF = r"""
(() => {
"use strict";
const data = JSON.parse(document.getElementById("whatif").textContent);
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const lengths = new Uint32Array(bytes(data.lengths).buffer);
const rules = data.rules.map((rule) => ({...rule, codes: bytes(rule.codes), stop: rule.now}));
const passes = (rule, clip, stop) =>
  rule.least ? stop < rule.codes[clip] : stop >= rule.stops.length - rule.codes[clip];
const scale = data.sample ? data.clips / data.sample : 0;
const about = data.sample < data.clips ? "about " : "";
const round = (n) => about + Math.round(n * scale).toLocaleString("en-US");
const signed = (n) => (n < 0 ? "\u2212" : "+") + Math.abs(Math.round(n * scale)).toLocaleString("en-US");
const time = (ms) => {
  const s = ms * scale / 1000;
  if (s < 59.95) return s.toFixed(1) + " s";
  const minutes = Math.floor(Math.round(s) / 60);
  if (minutes < 60) return minutes + " min " + String(Math.round(s) % 60).padStart(2, "0") + " s";
  const hours = Math.floor(minutes / 60);
  return hours < 100 ? hours + " h " + String(minutes % 60).padStart(2, "0") + " min"
    : Math.round(s / 3600).toLocaleString("en-US") + " h";
};
// How many clips pass all rules at these stops, and of those that do not, how many only one rule rejects.
const tally = (stops) => {
  let clips = 0, ms = 0;
  const rejects = rules.map(() => 0), alone = rules.map(() => 0);
  for (let i = 0; i < data.sample; i++) {
    let failed = 0, last = -1;
    for (let r = 0; r < rules.length; r++)
      if (!passes(rules[r], i, stops[r])) { failed++; last = r; rejects[r]++; }
    if (failed === 0) { clips++; ms += lengths[i]; }
    if (failed === 1) alone[last]++;
  }
  return {clips, ms, rejects, alone};
};
const before = tally(rules.map((rule) => rule.now));
const panel = document.querySelector(".apply");
const folder = () => {
  if (location.protocol !== "file:") return "OUT";
  const path = decodeURIComponent(location.pathname).replace(/\/[^/]*$/, "") || "/";
  return /^[\w@%+=:,.\/-]+$/.test(path) ? path : "'" + path.replaceAll("'", "'\\''") + "'";
};
const nearest = (rule, place) => {
  let best = 0;
  rule.places.forEach((p, k) => { if (Math.abs(p - place) < Math.abs(rule.places[best] - place)) best = k; });
  return best;
};
const show = () => {
  const now = tally(rules.map((rule) => rule.stop));
  rules.forEach((rule, r) => {
    const box = document.querySelector(`.slide[data-rule="${r}"]`);
    if (!box) return;
    box.querySelector(".now").textContent = String(rule.stops[rule.stop]);
    box.querySelector("input").setAttribute("aria-valuetext", String(rule.stops[rule.stop]));
    const change = now.clips - before.clips;
    box.querySelector("output").textContent = `rejects ${round(now.rejects[r])} of ${data.clips.toLocaleString("en-US")}` +
      ` clips, ${round(now.alone[r])} of them alone; ${round(now.clips)} pass every rule` +
      (change ? ` (${signed(change)})` : "");
    document.querySelector(`.hist[data-rules~="t${r}"]`)
      ?.style.setProperty(rule.least ? "--low" : "--high", rule.places[rule.stop] + "%");
  });
  const moved = rules.filter((rule) => rule.stop !== rule.now);
  panel.hidden = moved.length === 0;
  if (!moved.length) return;
  const gain = now.ms - before.ms;
  panel.querySelector(".sum").textContent = `${round(now.clips)} clips (${signed(now.clips - before.clips)}) and ` +
    `${time(now.ms)} (${gain < 0 ? "\u2212" : "+"}${time(Math.abs(gain))}) would pass the rules`;
  panel.querySelector("code").textContent = `worldfoundry curate report ${folder()} ` +
    "--set " + moved.map((rule) => `${rule.setting}=${rule.stops[rule.stop]}`).join(" ");
};
rules.forEach((rule, r) => {
  const box = document.querySelector(`.slide[data-rule="${r}"]`);
  if (!box) return;
  const input = box.querySelector("input");
  box.hidden = false;
  input.value = rule.places[rule.stop] * 10;
  input.addEventListener("input", () => { rule.stop = nearest(rule, input.value / 10); show(); });
  input.addEventListener("keydown", (event) => {
    const step = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1}[event.key];
    if (!step) return;
    event.preventDefault();
    rule.stop = Math.min(rule.stops.length - 1, Math.max(0, rule.stop + step));
    input.value = rule.places[rule.stop] * 10;
    show();
  });
});
panel.querySelector(".reset").addEventListener("click", () => {
  rules.forEach((rule, r) => {
    rule.stop = rule.now;
    const input = document.querySelector(`#s${r}`);
    if (input) input.value = rule.places[rule.now] * 10;
  });
  show();
});
show();
})();
"""

COPY = r"""
document.querySelectorAll("button.copy").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try { await navigator.clipboard.writeText(code.textContent); button.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(code); button.textContent = "Selected"; }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
});
"""

GALLERY = r"""
(() => {
"use strict";
const cards = [...document.querySelectorAll("#gallery .card")];
const place = new Map(cards.map((card, k) => [card, k]));
const text = new Map(cards.map((card) => [card, card.dataset.find]));
const scores = new Map(cards.map((card) => [card, JSON.parse(card.dataset.scores)]));
const find = document.getElementById("find"), sort = document.getElementById("sort");
const picks = [...document.querySelectorAll(".tools select.pick")], said = document.getElementById("said");
const update = () => {
  const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let seen = 0;
  for (const card of cards) {
    const fits = wanted.every((word) => word.startsWith("-") && word.length > 1
      ? !text.get(card).includes(word.slice(1)) : text.get(card).includes(word)) &&
      picks.every((pick) => !pick.value || JSON.parse(card.dataset[pick.name]).includes(pick.value));
    card.hidden = !fits;
    seen += fits;
  }
  said.textContent = `${seen.toLocaleString("en-US")} of ${cards.length.toLocaleString("en-US")} clips`;
};
const order = () => {
  const [name, way] = sort.value.split(":");
  const key = (card) => scores.get(card)[name];
  const sorted = [...cards].sort((a, b) => {
    const x = key(a), y = key(b);
    if (!name || x === y) return place.get(a) - place.get(b);
    if (x == null || y == null) return x == null ? 1 : -1;
    return way === "up" ? x - y : y - x;
  });
  document.getElementById("gallery").append(...sorted);
};
document.querySelector(".tools").hidden = false;
find.addEventListener("input", update);
picks.forEach((pick) => pick.addEventListener("change", update));
sort.addEventListener("change", order);
update();
})();
"""

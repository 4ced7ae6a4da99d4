"""The page around the report: template, style and script, as text. Nothing here refers to anything outside the file."""

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
<noscript><style>
.controls{display:none}
</style></noscript>
</head>
<body>
<header>
<p class="brand">worldfoundry<span>$kind</span></p>
<h1>$title</h1>
<p class="story">$story</p>
<div class="numbers">$numbers</div>
<nav>$links</nav>
</header>
<main>$sections</main>
<footer>$foot</footer>
<script>$script</script>
</body>
</html>
""")

STYLE = """
:root{color-scheme:light dark;--ground:#f7f6f3;--card:#fff;--ink:#191c22;--soft:#5d6470;--line:#e3e0da;
  --accent:#0b5cad;--good:#00704f;--bad:#a8410a;--row-model:#0072b2;--row-ceiling:#00875f;--row-copy-last:#c85200;
  --row-flow-warp:#a4478c;--row-truth:#40454f;--row-h264:#c85200}
@media (prefers-color-scheme:dark){:root{--ground:#111419;--card:#1a1e25;--ink:#eceef2;--soft:#a2abb9;
  --line:#2d333d;--accent:#7cc0ff;--good:#3ed2a2;--bad:#ff9a5c;--row-model:#56b4e9;--row-ceiling:#35cfa0;
  --row-copy-last:#ff944d;--row-flow-warp:#e59bcd;--row-truth:#cfd5df;--row-h264:#ff944d}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);
  font:17px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header,main,footer{max-width:1160px;margin:0 auto;padding:0 24px}
header{padding-top:56px}
.brand{font-weight:700;letter-spacing:-.01em;margin:0 0 40px}
.brand span{color:var(--soft);font-weight:400;margin-left:.7em}
h1{font-size:clamp(2rem,5vw,3.5rem);line-height:1.08;letter-spacing:-.03em;margin:0 0 20px;max-width:19em;
  text-wrap:balance}
.story{font-size:clamp(1.05rem,2vw,1.3rem);color:var(--soft);max-width:44em;margin:0 0 36px;text-wrap:pretty}
.numbers{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:1px;background:var(--line);
  border:1px solid var(--line);border-radius:16px;overflow:hidden}
.number{background:var(--card);padding:20px 22px}
.number b{display:block;font-size:1.9rem;letter-spacing:-.02em;line-height:1.2}
.number span{color:var(--soft);font-size:.88rem;line-height:1.4;display:block;margin-top:4px}
nav{display:flex;flex-wrap:wrap;gap:8px;margin:24px 0 0}
nav a{color:var(--ink);text-decoration:none;border:1px solid var(--line);border-radius:99px;padding:5px 14px;
  font-size:.88rem;background:var(--card)}
nav a:hover,nav a:focus-visible{border-color:var(--accent);color:var(--accent)}
section{padding:72px 0 0}
.kicker{text-transform:uppercase;letter-spacing:.09em;font-size:.76rem;font-weight:700;color:var(--accent);
  margin:0 0 6px}
h2{font-size:clamp(1.5rem,3vw,2.15rem);letter-spacing:-.02em;line-height:1.15;margin:0 0 12px;text-wrap:balance}
h3{font-size:1.06rem;margin:0;letter-spacing:-.005em}
.lead{color:var(--soft);max-width:46em;margin:0 0 24px}
section>p:not(.kicker):not(.lead){max-width:46em}
.note{border-left:4px solid var(--row-copy-last);background:var(--card);padding:14px 18px;border-radius:0 12px 12px 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:16px;padding:20px;margin:0 0 20px}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(330px,100%),1fr));gap:20px;margin:0 0 20px}
.columns .card{margin:0}
.columns>*{min-width:0}
.funnel .step{display:grid;grid-template-columns:minmax(130px,15em) 1fr 3em;gap:14px;align-items:center;padding:5px 0}
.funnel .bar{display:block}
.funnel i{display:block;height:22px;border-radius:6px;background:var(--row-model)}
.funnel .name{font-size:.93rem}
.funnel b{text-align:right;font-variant-numeric:tabular-nums}
.sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:14px;margin:0 0 20px}
.sheet figure{margin:0;font-size:.8rem;line-height:1.35}
.sheet img,.sheet .blank{width:100%;aspect-ratio:4/3;object-fit:cover;border-radius:10px;display:block;
  background:var(--line)}
.sheet .blank{display:grid;place-items:center;color:var(--soft)}
.sheet .rejected img{filter:grayscale(1);opacity:.55}
.sheet figcaption{padding-top:6px;overflow-wrap:anywhere;color:var(--soft)}
.sheet em{display:-webkit-box;-webkit-line-clamp:4;-webkit-box-orient:vertical;overflow:hidden;font-style:normal;font-weight:600}
.in{color:var(--good)}
.out{color:var(--bad)}
.strip{display:grid;grid-template-columns:8.5em 1fr;gap:14px;align-items:center;margin:0 0 8px}
.strip span{font-size:.88rem;line-height:1.35}
.strip small{display:block;color:var(--soft);font-variant-numeric:tabular-nums}
.strip img{width:100%;display:block;border-radius:8px}
.reel{position:relative}
.reel .head{margin:0 0 14px}
.reel .head p{margin:2px 0 0;color:var(--soft);font-size:.92rem;max-width:60em}
.reel video{position:absolute;width:2px;height:2px;opacity:0;pointer-events:none}
.panels{display:grid;gap:14px;grid-template-columns:repeat(auto-fit,minmax(150px,1fr))}
.panels.n2{grid-template-columns:repeat(auto-fit,minmax(min(240px,100%),1fr))}
.panels figure{margin:0;min-width:0}
.screen{position:relative;border-radius:10px;overflow:hidden;border:3px solid var(--line);line-height:0}
.screen.given{border-color:var(--ink)}
.screen.predicted{border-color:var(--row)}
.screen canvas{width:100%;height:auto;display:block;
  background:var(--poster) calc(var(--tile)*100%) 0/calc(var(--tiles)*100%) 100%}
.badge{position:absolute;left:7px;top:7px;background:rgba(15,17,21,.78);color:#fff;border-radius:99px;
  padding:2px 9px;font-size:.7rem;line-height:1.5;font-weight:600}
.badge:empty{display:none}
.panels figcaption{padding-top:8px;font-size:.88rem;line-height:1.35}
.panels figcaption b{display:block}
.panels figcaption b::before{content:"";display:inline-block;width:.65em;height:.65em;border-radius:50%;
  background:var(--row);margin-right:.45em}
.panels figcaption span{color:var(--soft);font-size:.8rem}
.controls{display:flex;align-items:center;gap:14px;margin-top:16px}
.controls button{font:inherit;font-size:.88rem;font-weight:600;min-width:5.2em;padding:7px 14px;border-radius:99px;
  border:0;background:var(--ink);color:var(--card);cursor:pointer}
.controls input{flex:1;min-width:60px;accent-color:var(--accent)}
.controls output{font-size:.82rem;color:var(--soft);font-variant-numeric:tabular-nums;min-width:10.5em;
  text-align:right}
.plot figcaption{font-weight:600;font-size:.95rem;margin:0 0 12px}
.plot{margin:0 0 20px}
.chart{width:100%;height:auto;display:block;overflow:visible}
.bars .chart{max-width:820px}
.chart .grid{stroke:var(--line);stroke-width:1}
.chart .tick,.chart .axis{fill:var(--soft);font-size:13px}
.chart .end{font-size:13.5px;font-weight:600;fill:var(--ink)}
.chart .line{fill:none;stroke-linejoin:round;stroke-linecap:round}
.chart .ci{stroke:currentColor;stroke-width:2;opacity:.55}
.chart .mark{fill:currentColor;stroke:var(--card);stroke-width:1.5}
.scroll{overflow-x:auto;padding:8px 20px}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums;min-width:640px}
th,td{padding:8px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
thead th{font-weight:600;color:var(--soft);font-size:.82rem}
thead th[colspan]{text-align:center}
tbody th{text-align:left;font-weight:500}
tr.group th{padding-top:20px;font-weight:700;font-size:.95rem}
tr.group span{color:var(--soft);font-weight:400;margin-left:.6em}
tbody tr:last-child th,tbody tr:last-child td{border-bottom-color:transparent}
td small{color:var(--soft);font-size:.8em}
.dot{display:inline-block;width:.65em;height:.65em;border-radius:50%;margin-right:.55em}
pre{background:#14171d;color:#e9edf3;border-radius:14px;padding:18px 20px;overflow-x:auto;
  font:14px/1.65 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr));gap:0 40px;margin:0;
  font-size:.9rem}
.facts div{display:flex;justify-content:space-between;gap:18px;border-bottom:1px solid var(--line);padding:7px 0}
.facts dt{color:var(--soft);flex:none}
.facts dd{margin:0;text-align:right;overflow-wrap:anywhere}
footer{padding-top:56px;padding-bottom:56px;color:var(--soft);font-size:.88rem}
@media (max-width:560px){header,main,footer{padding-left:16px;padding-right:16px}
header{padding-top:32px}
.brand{margin-bottom:28px}
.card{padding:14px}
.panels{grid-template-columns:repeat(2,1fr)}
.number{padding:14px 16px}
.number b{font-size:1.45rem}
.numbers{grid-template-columns:1fr 1fr}
.number:last-child:nth-child(odd){grid-column:span 2}
.funnel .step{grid-template-columns:8.5em 1fr 2em}
.strip{grid-template-columns:1fr;gap:4px}
.controls{flex-wrap:wrap}
.controls output{min-width:0;flex-basis:100%;text-align:left}
section{padding-top:52px}}
"""

SCRIPT = """
"use strict";
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
for (const reel of document.querySelectorAll(".reel")) {
  const video = reel.querySelector("video"), button = reel.querySelector("button");
  const range = reel.querySelector("input"), output = reel.querySelector("output");
  const fps = +reel.dataset.fps, count = +reel.dataset.frames, context = +reel.dataset.context, size = +reel.dataset.panel;
  const figures = [...reel.querySelectorAll("figure")];
  let wanted = !calm, seen = false, shown = -1;
  const show = (k) => {
    for (const f of figures) {
      const canvas = f.querySelector("canvas"), screen = f.querySelector(".screen");
      canvas.getContext("2d").drawImage(video, canvas.dataset.index * size, 0, size, size, 0, 0, size, size);
      screen.classList.toggle("given", k < context);
      screen.classList.toggle("predicted", context > 0 && k >= context);
      f.querySelector(".badge").textContent = k < context ? "context" : "";
    }
    shown = k;
    range.value = k;
    const at = ((k + 1 - context) / fps).toFixed(1);
    const place = k < context ? `context ${k + 1} of ${context}` : `predicted, +${at} s`;
    output.textContent = context === 0 ? `${(k / fps).toFixed(1)} s` : place;
  };
  const frame = () => Math.min(count - 1, Math.max(0, Math.floor(video.currentTime * fps + 0.01)));
  const loop = () => {
    if (video.paused) return;
    if (frame() !== shown && video.readyState >= 2) show(frame());
    requestAnimationFrame(loop);
  };
  const go = (k) => { video.currentTime = (k + 0.5) / fps; };
  const refused = (error) => {
    if (error.name === "NotAllowedError") { wanted = false; button.textContent = "Play"; }
  };
  const update = () => {
    button.textContent = wanted ? "Pause" : "Play";
    if (wanted && seen) video.play().catch(refused); else video.pause();
  };
  video.addEventListener("play", () => requestAnimationFrame(loop));
  video.addEventListener("seeked", () => show(frame()));
  const open = () => go(+reel.dataset.opening);
  video.addEventListener("loadeddata", open, { once: true });
  if (video.readyState >= 2) open();
  button.addEventListener("click", () => { wanted = !wanted; update(); });
  range.addEventListener("input", () => { wanted = false; update(); go(+range.value); });
  new IntersectionObserver((entries) => { seen = entries[0].isIntersecting; update(); }, { threshold: 0.25 }).observe(reel);
}
"""

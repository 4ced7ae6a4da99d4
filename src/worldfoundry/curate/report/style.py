"""The page's style: one sheet for light and dark, wide and narrow."""

CSS = """
:root{color-scheme:light dark;--ink:#1b2330;--soft:#5b6676;--line:#e2e6ec;--panel:#fff;--page:#f5f6f8;--track:#edf0f4;
--good:#1f8a5b;--bad:#c2553b;--blue:#3464c9;--amber:#a86a08;--stock:#b3c0d8;--badbg:#faeae5;--badink:#97381f;
--goodbg:#e3f3ea;--goodink:#12613e;--shadow:0 6px 24px #1b233022}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b6;--line:#2b3340;--panel:#171c24;--page:#0e1218;
--track:#242c38;--good:#3fb27f;--bad:#e07a5f;--blue:#7aa2f7;--amber:#e0a53c;--stock:#44526b;--badbg:#3a211b;
--badink:#f0a28e;--goodbg:#173527;--goodink:#86d9b0;--shadow:0 6px 24px #0009}}
*{box-sizing:border-box}html{scroll-behavior:smooth;scroll-padding-top:60px}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Liberation Sans",sans-serif;font-variant-numeric:tabular-nums}
main,header,nav>div{max-width:1160px;margin:0 auto;padding:0 24px}header{padding-top:34px}main{padding-bottom:120px}
h1{font-size:27px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}h2{font-size:19px;margin:44px 0 4px}
h3{font-size:15px;margin:0}p{margin:4px 0 12px}.soft{color:var(--soft)}a{color:var(--blue)}.right{text-align:right}
code,pre,.mono{font:13px/1.45 ui-monospace,"SF Mono","DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
:focus-visible{outline:2px solid var(--blue);outline-offset:2px}
.skip{position:absolute;left:-999px}.skip:focus{left:8px;top:8px;background:var(--panel);padding:8px;z-index:9}
nav{position:sticky;top:0;z-index:5;background:var(--page);border-bottom:1px solid var(--line);margin-top:18px}
nav>div{display:flex;gap:20px;overflow-x:auto;white-space:nowrap;scrollbar-width:none}
nav a{color:var(--soft);text-decoration:none;padding:11px 0}nav a:hover{color:var(--ink)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:12px;margin:22px 0 0}
.tile,.panel,.card{background:var(--panel);border:1px solid var(--line);border-radius:10px}.tile{padding:14px 16px}
.tile b{display:block;font-size:25px;line-height:1.25;letter-spacing:-.01em}.panel{padding:18px 20px;margin:10px 0}
.alert{border-color:var(--bad);background:var(--badbg);color:var(--badink)}
.scroll{overflow-x:auto;padding:6px 12px}
.funnel{width:100%;border-collapse:collapse}.funnel td,.funnel th{border:0;padding:5px 8px;vertical-align:middle}
.funnel tbody th{font-weight:400;color:inherit;white-space:nowrap;padding-left:0}
.funnel .bar{width:46%;padding-left:16px}.funnel .num{text-align:right;white-space:nowrap}
.funnel tbody .loss th{padding-left:16px}.funnel thead th:first-child{padding-left:0}
.funnel .kept>*,.funnel .stock>*{font-weight:600}.funnel .num .soft{font-weight:400}
.track{display:block;background:var(--track);border-radius:5px;height:18px;position:relative;overflow:hidden}
.fill{position:absolute;top:0;bottom:0;border-radius:4px;min-width:2px}.mark{position:absolute;top:0;bottom:0;width:2px;
background:var(--ink)}.chip{display:inline-block;padding:1px 9px;border-radius:10px;font-size:13px;background:var(--track);
color:var(--soft);white-space:nowrap;max-width:100%;overflow:hidden;text-overflow:ellipsis;vertical-align:bottom}
.chip.bad{background:var(--badbg);color:var(--badink)}.chip.good{background:var(--goodbg);color:var(--goodink)}
table{border-collapse:collapse;width:100%}caption{text-align:left;color:var(--soft);padding:8px 10px}
th{text-align:left;color:var(--soft);font-weight:500}tbody th{color:inherit;font-weight:400}
td,th{padding:8px 10px;border-bottom:1px solid var(--line);
vertical-align:top}tbody tr:last-child>*{border-bottom:0}.num{text-align:right;white-space:nowrap}
td .track{min-width:120px;height:14px;margin-top:4px}.wide{min-width:240px;overflow-wrap:anywhere}
.rule{scroll-margin-top:60px}.rule>.head{display:flex;flex-wrap:wrap;gap:4px 16px;justify-content:space-between;
align-items:baseline}.hist{position:relative;margin:26px 9px 0;height:132px}
.hist svg{position:absolute;inset:0;width:100%;height:108px;display:block}
.hist .under{clip-path:inset(0 calc(100% - var(--low)) 0 0)}
.hist .over{clip-path:inset(0 0 0 var(--high))}.hist i{position:absolute;top:-8px;height:118px;border-left:2px dashed
var(--badink);transform:translateX(-1px)}.hist i.low{left:var(--low)}.hist i.high{left:var(--high)}
.hist .tick{position:absolute;top:111px;transform:translateX(-50%);font-size:12.5px;color:var(--soft);white-space:nowrap}
.hist .tick:first-of-type{transform:none;margin-left:-6px}.hist .tick.last{transform:translateX(-100%);margin-left:6px}
.hist .most{position:absolute;right:0;top:-24px;font-size:12.5px;color:var(--soft)}
.slide{display:grid;grid-template-columns:1fr;margin:2px 0 6px}.slide label{display:flex;flex-wrap:wrap;gap:0 14px;
align-items:baseline;font-size:14px}.slide output{color:var(--soft)}
input[type=range]{appearance:none;-webkit-appearance:none;width:100%;margin:4px 0;height:20px;background:none;cursor:pointer}
input[type=range]::-webkit-slider-runnable-track{height:4px;border-radius:2px;background:var(--line)}
input[type=range]::-moz-range-track{height:4px;border-radius:2px;background:var(--line)}
input[type=range]::-webkit-slider-thumb{-webkit-appearance:none;width:18px;height:18px;border-radius:50%;margin-top:-7px;
background:var(--blue);border:3px solid var(--panel);box-shadow:0 0 0 1px var(--blue)}
input[type=range]::-moz-range-thumb{width:12px;height:12px;border-radius:50%;background:var(--blue);
border:3px solid var(--panel);box-shadow:0 0 0 1px var(--blue)}
.pair{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:20px;margin-top:12px}.pair>div{min-width:0}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(250px,100%),1fr));gap:12px;margin-top:8px}
.pair .cards{grid-template-columns:minmax(0,1fr)}.pair .card>div{display:grid;
grid-template-columns:1fr auto;gap:1px 12px;align-items:center}.pair .card .name{-webkit-line-clamp:1;overflow-wrap:normal;
word-break:break-all}.pair .card .soft{grid-row:2}.pair .card>div>span:last-child{grid-row:1/3;grid-column:2}
h4{font-size:14px;font-weight:600;margin:10px 0 0}h4 .soft{font-weight:400}
.card{overflow:hidden;font-size:13.5px;line-height:1.4;display:flex;flex-direction:column;min-width:0}
.card .shot{background:var(--track);aspect-ratio:16/3;overflow:hidden}
.card .shot{display:flex;justify-content:center}.card img{flex:0 1 auto;min-width:0;height:100%;object-fit:contain;display:block}
.card .none{flex:1;display:grid;place-items:center;color:var(--soft)}
.card>div{padding:9px 12px 11px;display:flex;flex-direction:column;gap:3px}
.name{font-weight:600;overflow-wrap:anywhere;display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical;overflow:hidden}
.caption{display:-webkit-box;-webkit-line-clamp:3;-webkit-box-orient:vertical;overflow:hidden}
.group>div{min-width:0}.group{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,2fr);gap:16px;align-items:start}
.group+.group{border-top:1px solid var(--line);padding-top:16px;margin-top:16px}.winner{border:2px solid var(--good)}
.apply{position:fixed;left:0;right:0;bottom:0;z-index:6;background:var(--panel);border-top:1px solid var(--line);
box-shadow:var(--shadow);padding:10px 24px}.apply>div{max-width:1112px;margin:0 auto;display:flex;flex-wrap:wrap;gap:8px 20px;
align-items:center}.apply code{flex:1 1 460px;white-space:pre;overflow-x:auto;min-width:0;
background:var(--track);padding:6px 10px;border-radius:6px}
button,select,input[type=search]{font:inherit;font-size:14px;color:inherit;background:var(--panel);border:1px solid var(--line);
border-radius:7px;padding:5px 11px}button{cursor:pointer}button:hover{border-color:var(--blue)}
.tools{display:flex;flex-wrap:wrap;gap:10px;align-items:center;margin:16px 0}.tools input{flex:1 1 100%;min-width:0}
.run{display:flex;gap:8px;align-items:start}.run code{flex:1;background:var(--track);padding:5px 9px;border-radius:6px}
pre{white-space:pre-wrap;background:var(--track);padding:10px;border-radius:6px;margin:6px 0;max-height:300px;overflow:auto}
summary{cursor:pointer;color:var(--soft);width:max-content;max-width:100%}.key{display:inline-block;width:10px;height:10px;
border-radius:2px;margin:0 5px 0 12px}[hidden]{display:none!important}
@media(max-width:760px){main,header,nav>div{padding-left:16px;padding-right:16px}.pair,.group{grid-template-columns:minmax(0,1fr)}
.funnel thead{display:none}.funnel,.funnel tbody{display:block}
.funnel tr{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 12px;padding:6px 0}.funnel code{display:none}
.funnel td,.funnel tbody th{padding:1px 0}
.funnel .bar{flex:1 0 100%;width:auto;padding:3px 0 4px;order:9}.funnel tbody .loss th{padding-left:0}
.funnel .num.clips{display:none}
.funnel .narrow{display:inline}.panel{padding:14px}.tile b{font-size:21px}.tiles{grid-template-columns:1fr 1fr}h2{margin-top:34px}
.apply{padding:10px 16px}.tile:last-child:nth-child(odd){grid-column:1/-1}
.wide{min-width:150px}td .track{min-width:30px}td,th{padding:8px 5px}
.stack thead{display:none}.stack tr{display:block;padding:8px 0;border-bottom:1px solid var(--line)}.stack tr:last-child{border:0}
.stack td,.stack th{display:block;border:0;padding:3px 8px}.stack caption{display:block}.stack,.stack tbody{display:block}
}
@media(min-width:761px){.narrow{display:none}}
@media print{nav,.apply,.slide input,.tools{display:none}body{background:#fff}}
"""

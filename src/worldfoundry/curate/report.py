"""``report.html``: one file that opens from disk without a network, so that thresholds can be judged by eye."""

import html
import json
from collections import Counter
from pathlib import Path

from worldfoundry.core.errors import DataError
from worldfoundry.core.files import atomic_path
from worldfoundry.curate.index import Row, read_index, read_parts
from worldfoundry.protocols.curation import Reason

_MOST_CARDS = 240
_MOST_ROWS = 240
_MEANING = {
    Reason.TOO_SHORT: "shots too short",
    Reason.STATIC: "static shots",
    Reason.DAMAGED: "damaged videos",
    Reason.DUPLICATE_SOURCE: "copies of another video",
    Reason.FAILED: "failed; run again",
}
_CSS = """
:root{--ink:#1c2430;--soft:#667085;--line:#e4e7ec;--panel:#fff;--page:#f6f7f9;--good:#1f8a5b;--bad:#c2553b;--blue:#3464c9}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:15px/1.45 system-ui,-apple-system,"Segoe UI",
Roboto,"Liberation Sans",sans-serif;font-variant-numeric:tabular-nums}main{max-width:1120px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 12px}p{margin:4px 0}.soft{color:var(--soft)}a{color:inherit}
code{font:13px ui-monospace,"SF Mono","DejaVu Sans Mono",monospace}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:20px 0}
.tile,.panel,.card{background:var(--panel);border:1px solid var(--line);border-radius:10px}.tile{padding:14px 16px}
.tile b{display:block;font-size:26px;line-height:1.2}.panel{padding:18px 20px}
.bar{display:grid;grid-template-columns:180px 1fr 260px;gap:12px;align-items:center;margin:8px 0}
.track{background:#eef0f3;border-radius:5px;height:20px;position:relative;overflow:hidden}
.fill{position:absolute;top:0;bottom:0;border-radius:5px;min-width:2px}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(330px,1fr));gap:14px}.card{overflow:hidden}
.card a{display:block;background:#e9ecf0}.strip{width:100%;max-height:130px;object-fit:contain;display:block}
.card div{padding:10px 12px}.name{font-weight:600;overflow-wrap:anywhere}
.meter{display:flex;height:6px;border-radius:3px;background:#eef0f3;margin:8px 0 4px;overflow:hidden}
table{border-collapse:collapse;width:100%}td .name{display:inline-block;min-width:170px}.card{font-size:14px}
th{text-align:left;color:var(--soft);font-weight:500}
td,th{padding:9px 10px;border-bottom:1px solid var(--line);vertical-align:top}tr:last-child td{border-bottom:0}
td img{height:54px;border-radius:4px;display:block;max-width:300px;object-fit:contain}
.badge{display:inline-block;padding:1px 9px;border-radius:10px;background:#faeae5;color:#9c3f29;font-size:13px;white-space:nowrap}
pre{white-space:pre-wrap;font:12px/1.4 ui-monospace,monospace;background:#f6f7f9;padding:10px;border-radius:6px}
summary{cursor:pointer;color:var(--soft)}.keys{display:inline-block;width:9px;height:9px;border-radius:2px;margin:0 4px 0 10px}
@media(max-width:640px){.bar{grid-template-columns:1fr}td img{max-width:120px}}
"""


def write_report(out: Path) -> Path:
    """Write ``report.html`` from the index, the manifest and the pictures in ``work/``; returns its path."""
    path = out / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{out} must be a curated set, got {error}; make one with 'worldfoundry curate run'"
        ) from error
    rows = read_index(out / "index.parquet")
    strips: dict[str, str] = {}
    traces: dict[str, str] = {}
    for part in read_parts(out, manifest["config_digest"]):
        strips |= part["strips"]
        traces |= part["tracebacks"]
    kept = [row for row in rows if row["kept"]]
    rejected = [row for row in rows if not row["kept"]]
    body = "".join(
        (
            _head(manifest, rows, kept),
            _funnel(rows, kept, rejected),
            _histogram(rows, manifest["config"]["min_motion"]),
            _cards(kept, strips),
            _rejects(rejected, strips, traces),
            _settings(manifest),
        )
    )
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Curation report</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_CSS}</style></head><body><main>{body}</main></body></html>\n"
    )
    report = out / "report.html"
    with atomic_path(report) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return report


def _length(row: Row) -> float:
    return row["end_seconds"] - row["start_seconds"]


def _total(rows: list[Row]) -> float:
    return sum(map(_length, rows), start=0.0)


def _time(seconds: float) -> str:
    """Seconds for people.

    >>> _time(7.25), _time(75.0), _time(5400.0)
    ('7.2 s', '1 min 15 s', '1 h 30 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _head(manifest: Row, rows: list[Row], kept: list[Row]) -> str:
    usable, got = _total(rows), _total(kept)
    videos = manifest.get("counts", {}).get("videos", len({row["source"] for row in rows}))
    bad = len({row["source"] for row in rows if not row["clip_id"]})
    tiles = [
        (f"{videos:,}", "source videos" + (f", {bad} not usable" if bad else "")),
        (_time(usable), "of usable footage"),
        (f"{len(kept):,}", "clips kept"),
        (_time(got), f"kept, {got / usable:.0%} of the footage" if usable else "kept"),
    ]
    cells = "".join(f'<div class="tile"><b>{a}</b><span class="soft">{b}</span></div>' for a, b in tiles)
    empty = "" if kept else "<p><b>No clip was kept.</b> Look at the reasons below and at the settings.</p>"
    source = html.escape(manifest["source_dir"])
    return f'<h1>Curation report</h1><p class="soft"><code>{source}</code></p><div class="tiles">{cells}</div>{empty}'


def _funnel(rows: list[Row], kept: list[Row], rejected: list[Row]) -> str:
    """Where the seconds went: each reason takes its share off the right end of what was left."""
    total = _total(rows) or 1.0
    lines = [
        _bar(
            "Usable footage",
            0.0,
            1.0,
            "#b8c4dc",
            f"{_time(_total(rows))} in {_count(sum(bool(r['clip_id']) for r in rows), 'shot')}",
        )
    ]
    left = _total(rows)
    counts = Counter(row["reason"] for row in rejected)
    for reason in Reason:
        if counts[reason]:
            lost = _total([row for row in rejected if row["reason"] == reason])
            what = (
                f"{_time(lost)} in {_count(counts[reason], 'shot')}"
                if lost
                else _count(counts[reason], "file")
            )
            note = f"&minus; {what} <span class='soft'>({reason})</span>"
            lines.append(_bar(_MEANING[reason], (left - lost) / total, lost / total, "var(--bad)", note))
            left -= lost
    lines.append(
        _bar(
            "<b>Kept</b>",
            0.0,
            _total(kept) / total,
            "var(--good)",
            f"<b>{_time(_total(kept))}</b> in {_count(len(kept), 'clip')}",
        )
    )
    return f'<h2>From footage to clips</h2><div class="panel">{"".join(lines)}</div>'


def _bar(label: str, start: float, share: float, colour: str, note: str) -> str:
    fill = (
        f'<div class="fill" style="left:{start:.4%};width:{share:.4%};background:{colour}"></div>'
        if share
        else ""
    )
    return f'<div class="bar"><span>{label}</span><div class="track">{fill}</div><span>{note}</span></div>'


def _histogram(rows: list[Row], threshold: float) -> str:
    """How motion is distributed, on a logarithmic axis, with the threshold drawn in."""
    values = [row["motion"] for row in rows if row["motion"] is not None]
    if not values:
        return ""
    edges = [0.001 * 2 ** (k / 2) for k in range(21)]  # to 1 width a second
    bins = Counter(min(sum(value >= e for e in edges), 20) for value in values)
    most, width, height = max(bins.values()), 46, 110
    parts = []
    for k in range(21):
        tall = height * bins[k] / most
        colour = "var(--bad)" if edges[k] <= threshold else "var(--blue)"
        parts.append(
            f'<rect x="{k * width + 3}" y="{130 - tall:.1f}" width="{width - 6}" height="{tall:.1f}" rx="3" fill="{colour}"/>'
        )
        if bins[k]:
            parts.append(f'<text x="{(k + 0.5) * width}" y="{124 - tall:.1f}">{bins[k]}</text>')
        if k % 4 == 0:
            parts.append(f'<text x="{(k + 1) * width}" y="150">{edges[k]:.2g}</text>')
    place = sum(threshold >= e for e in edges)
    if 0 < place < 21:
        share = (threshold - edges[place - 1]) / (edges[place] - edges[place - 1])
        x = (place + share) * width
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="-14" y2="132" stroke="#9c3f29" stroke-dasharray="4 3"/>'
        )
        parts.append(
            f'<text x="{x + 6:.1f}" y="-6" style="text-anchor:start">min_motion {threshold:g}</text>'
        )
    svg = (
        f'<svg viewBox="-10 -20 {21 * width + 30} 176" width="100%" role="img" aria-label="Histogram of motion" '
        f'font-size="13" fill="#667085" text-anchor="middle"><line x1="0" x2="{21 * width}" y1="131" y2="131" '
        f'stroke="#e4e7ec"/>{"".join(parts)}</svg>'
    )
    return (
        '<h2>Motion</h2><div class="panel"><p class="soft">Clips by mean optical flow, in picture widths a second; '
        f"what lies left of the line is rejected as static.</p>{svg}</div>"
    )


def _image(strip: str, css: str = "") -> str:
    if not strip:
        return ""
    return f'<img {css} loading="lazy" alt="start, middle and end of the clip" src="data:image/jpeg;base64,{strip}">'


def _cards(kept: list[Row], strips: dict[str, str]) -> str:
    if not kept:
        return ""
    cards = []
    for row in kept[:_MOST_CARDS]:
        camera, objects = row["camera_motion"] or 0.0, row["object_motion"] or 0.0
        both = max(camera + objects, 1e-9)
        level = min(1.0, (row["motion"] or 0.0) / 0.2)
        path = html.escape(row["path"], quote=True)
        cards.append(
            f'<div class="card"><a href="{path}">{_image(strips.get(row["clip_id"], ""), "class=strip")}</a><div>'
            f'<div class="name" style="padding:0">{html.escape(row["source"])}</div>'
            f'<span class="soft">{row["start_seconds"]:.2f} to {row["end_seconds"]:.2f} s · {row["num_frames"]} frames · '
            f"{row['width']}&times;{row['height']} · {row['fps']:.4g} fps</span>"
            f'<span class="meter"><span style="width:{level * camera / both:.1%};background:var(--blue)"></span>'
            f'<span style="width:{level * objects / both:.1%};background:#e0a53c"></span></span>'
            f'<span class="soft">motion {row["motion"]:.3f}: camera {camera:.3f}, objects {objects:.3f}</span></div></div>'
        )
    more = f" The first {_MOST_CARDS} of {len(kept):,}." if len(kept) > _MOST_CARDS else ""
    key = "".join(
        f'<span class="keys" style="background:{colour}"></span>{name}'
        for name, colour in (("camera", "var(--blue)"), ("objects", "#e0a53c"))
    )
    return (
        f'<h2>Kept clips</h2><p class="soft">Start, middle and end; a click plays the clip. Motion in picture widths a '
        f'second:{key}.{more}</p><div class="cards">{"".join(cards)}</div>'
    )


def _rejects(rejected: list[Row], strips: dict[str, str], traces: dict[str, str]) -> str:
    if not rejected:
        return '<h2>Rejected</h2><p class="soft">Nothing was rejected.</p>'
    lines = []
    for row in rejected[:_MOST_ROWS]:
        detail = html.escape(row["detail"])
        if row["reason"] == Reason.FAILED and row["source"] in traces:
            detail += (
                f"<details><summary>trace</summary><pre>{html.escape(traces[row['source']])}</pre></details>"
            )
        span = f"{row['start_seconds']:.2f} to {row['end_seconds']:.2f} s" if row["clip_id"] else "whole file"
        lines.append(
            f"<tr><td>{_image(strips.get(row['clip_id'], ''))}</td>"
            f'<td><span class="name">{html.escape(row["source"])}</span><br><span class="soft">{span}</span></td>'
            f'<td><span class="badge">{row["reason"]}</span></td><td>{detail}</td></tr>'
        )
    more = (
        f'<p class="soft">The first {_MOST_ROWS} of {len(rejected):,}.</p>'
        if len(rejected) > _MOST_ROWS
        else ""
    )
    return (
        f'<h2>Rejected</h2>{more}<div class="panel" style="padding:4px 10px;overflow-x:auto"><table><tr><th></th>'
        f"<th>Source and span</th><th>Reason</th><th>Detail</th></tr>{''.join(lines)}</table></div>"
    )


def _settings(manifest: Row) -> str:
    settings = {k: v for k, v in manifest["config"].items() if k != "schema"}
    tables = []
    for title, values in (("Settings", settings), ("Versions", manifest["versions"])):
        lines = "".join(
            f"<tr><td>{html.escape(k)}</td><td><code>{html.escape(str(v))}</code></td></tr>"
            for k, v in values.items()
        )
        tables.append(
            f"<h2>{title}</h2><div class='panel' style='padding:4px 10px'><table>{lines}</table></div>"
        )
    return "".join(tables)

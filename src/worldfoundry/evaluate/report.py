"""The demo report: one HTML file, offline, with every picture, film, chart and script inside.

A *reel* is several films of one length played in step. They are tiled into one H.264 film and drawn panel by panel on
canvases, so that they cannot drift apart. Every text that comes from outside is escaped.
"""

import base64
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np

from worldfoundry.core.errors import DataError, require_package
from worldfoundry.data.video_write import write_video
from worldfoundry.evaluate.charts import Series, bar_chart, colour, line_chart
from worldfoundry.evaluate.config import CEILING, COPY_LAST, FLOW_WARP, MODEL, ROWS, Row, Score
from worldfoundry.evaluate.report_page import PAGE, SCRIPT, STYLE
from worldfoundry.protocols.video import Frames

ROW_LABELS = {MODEL: "world model", CEILING: "ceiling", COPY_LAST: "copy last frame", FLOW_WARP: "flow warp"}
ROW_NOTES = {
    "truth": "what really happened",
    MODEL: "what the model expects",
    CEILING: "truth through the tokenizer: what the tokenizer alone would score",
    COPY_LAST: "nothing moves",
    FLOW_WARP: "everything keeps its velocity",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One film of a reel."""

    key: str
    """Row name, ``truth`` or any word; picks colour and note."""
    label: str
    """Shown under the film."""
    frames: Frames
    """The film; all of a reel have one length, rate and shape."""
    note: str = ""
    """Small print; by default that of the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reel:
    """Films in step under one title."""

    title: str
    """Heading."""
    caption: str
    """One sentence."""
    panels: Sequence[Panel]
    """Left to right."""
    context_frames: int = 0
    """Frames before the prediction starts; 0 when nothing is predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A clip of the curation: one picture, kept or not."""

    picture: np.ndarray | None
    """uint8 [h, w, 3]; none when the file could not be opened."""
    title: str
    """Source and span."""
    reason: str = ""
    """Why it was rejected; empty when it was kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A big number."""

    value: str
    """With its unit."""
    label: str
    """What it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A chapter of the page; ``html`` comes from the functions below, all other fields are plain text."""

    name: str
    """Anchor."""
    kicker: str
    """Small line above the title."""
    title: str
    """Heading."""
    lead: str
    """Opening paragraph."""
    html: Sequence[str] = field(default=())
    """Blocks."""


def page(
    *,
    title: str,
    story: str,
    headlines: Sequence[Headline],
    sections: Sequence[Section],
    foot: str,
    kind: str = "demo report",
) -> str:
    """The whole document; ``kind`` stands beside the name of the project."""
    numbers = "".join(
        f'<div class="number"><b>{escape(h.value)}</b><span>{escape(h.label)}</span></div>' for h in headlines
    )
    links = "".join(f'<a href="#{escape(s.name, quote=True)}">{escape(s.kicker)}</a>' for s in sections)
    return PAGE.substitute(
        title=escape(title),
        kind=escape(kind),
        style=STYLE,
        story=escape(story),
        numbers=numbers,
        links=links,
        sections="".join(map(_section, sections)),
        foot=escape(foot),
        script=SCRIPT,
    )


def _section(s: Section) -> str:
    return (
        f'<section id="{escape(s.name, quote=True)}"><p class="kicker">{escape(s.kicker)}</p><h2>{escape(s.title)}</h2>'
        f'<p class="lead">{escape(s.lead)}</p>{"".join(s.html)}</section>'
    )


def paragraph(text: str) -> str:
    """Plain text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def note(text: str) -> str:
    """Plain text set apart: something the reader should not miss."""
    return f'<p class="note">{escape(text)}</p>'


def commands(lines: Sequence[str]) -> str:
    """Shell lines."""
    return f"<pre><code>{escape(chr(10).join(lines))}</code></pre>"


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Name and value, one a line."""
    items = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in pairs)
    return f'<dl class="facts">{items}</dl>'


def funnel(steps: Sequence[tuple[str, int]]) -> str:
    """What is left after each step of the curation, as bars that narrow."""
    most = max((n for _, n in steps), default=0) or 1
    rows = "".join(
        f'<div class="step"><span class="name">{escape(name)}</span>'
        f'<span class="bar"><i style="width:{max(100 * n / most, 1.5):.1f}%"></i></span><b>{n}</b></div>'
        for name, n in steps
    )
    return f'<div class="card funnel">{rows}</div>'


def thumbnails(items: Sequence[Thumbnail]) -> str:
    """A contact sheet; rejected clips are dimmed and say why."""
    cards = "".join(_thumbnail(t) for t in items)
    return f'<div class="sheet">{cards}</div>'


def _thumbnail(t: Thumbnail) -> str:
    if t.picture is None:
        picture = '<div class="blank">no picture</div>'
    else:
        picture = f'<img alt="" src="data:image/jpeg;base64,{_jpeg(t.picture)}">'
    verdict = f'<em class="out">{escape(t.reason)}</em>' if t.reason else '<em class="in">kept</em>'
    state = "rejected" if t.reason else "kept"
    return f'<figure class="{state}">{picture}<figcaption>{escape(t.title)}{verdict}</figcaption></figure>'


def strip(label: str, text: str, picture: np.ndarray) -> str:
    """A wide uint8 [h, w, 3] with a name and small print at its left."""
    return (
        f'<div class="strip"><span>{escape(label)}<small>{escape(text)}</small></span>'
        f'<img alt="{escape(label, quote=True)}" src="data:image/jpeg;base64,{_jpeg(picture, width_px=1200)}"></div>'
    )


def _jpeg(picture: np.ndarray, *, width_px: int = 320) -> str:
    cv2 = require_package("cv2", "curate")
    h, w = picture.shape[:2]
    if w > width_px:
        picture = cv2.resize(
            picture, (width_px, max(1, round(h * width_px / w))), interpolation=cv2.INTER_AREA
        )
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 82]
    )
    assert done, "OpenCV could not encode a JPEG"
    return base64.b64encode(data.tobytes()).decode()


def reel(r: Reel, *, panel_px: int = 256) -> str:
    """The films with one play button and one scrubber; a badge tells context from prediction."""
    first = r.panels[0].frames
    count, fps = len(first.pixels), first.fps
    for p in r.panels:
        if p.frames.pixels.shape != first.pixels.shape or p.frames.fps != fps:
            raise DataError(
                f"films of a reel must have one shape and rate, got {list(p.frames.pixels.shape)} at {p.frames.fps} fps "
                f"for {p.label!r} and {list(first.pixels.shape)} at {fps}; cut or resample them first"
            )
    figures = "".join(_panel(i, p, panel_px, of=len(r.panels)) for i, p in enumerate(r.panels))
    pixels = _tiled(r.panels, panel_px)
    opening = min(count - 1, r.context_frames + round(fps) - 1) if r.context_frames else 0
    poster = _jpeg(pixels[opening], width_px=pixels.shape[2])
    return (
        f'<div class="card reel" data-fps="{fps:g}" data-frames="{count}" data-context="{r.context_frames}" '
        f'data-panel="{panel_px}" data-opening="{opening}" style="--poster:url(data:image/jpeg;base64,{poster})">'
        f'<div class="head"><h3>{escape(r.title)}</h3><p>{escape(r.caption)}</p></div>'
        '<video muted loop playsinline preload="auto" '
        f'src="data:video/mp4;base64,{_film(pixels, fps)}"></video>'
        f'<div class="panels n{len(r.panels)}">{figures}</div>'
        '<div class="controls"><button type="button" aria-label="play or pause">Play</button>'
        f'<input type="range" min="0" max="{count - 1}" value="0" step="1" aria-label="frame">'
        "<output></output></div></div>"
    )


def _panel(index: int, p: Panel, size: int, *, of: int) -> str:
    text = p.note or ROW_NOTES.get(p.key, "")
    return (
        f'<figure style="--row:{colour(p.key)};--tiles:{of};--tile:{index / max(of - 1, 1):.4f}"><div class="screen">'
        f'<canvas width="{size}" height="{size}" data-index="{index}"></canvas><span class="badge"></span></div>'
        f"<figcaption><b>{escape(p.label)}</b><span>{escape(text)}</span></figcaption></figure>"
    )


def _tiled(panels: Sequence[Panel], size: int) -> np.ndarray:
    """uint8 [t, size, n * size, 3]: the panels side by side, enlarged first so that half-resolution colour does no harm."""
    cv2 = require_package("cv2", "curate")
    return np.stack(
        [
            np.concatenate(
                [cv2.resize(p.frames.pixels[k], (size, size), interpolation=cv2.INTER_CUBIC) for p in panels],
                axis=1,
            )
            for k in range(len(panels[0].frames.pixels))
        ]
    )


def _film(pixels: np.ndarray, fps: float) -> str:
    """Base64 mp4."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reel.mp4"
        write_video(path, Frames.at_constant_rate(pixels, fps))
        return base64.b64encode(path.read_bytes()).decode()


def score_chart(rows: dict[str, Row], *, fps: float, metric: str, title: str, width: int = 720) -> str:
    """PSNR or SSIM by second (marks with interval) over the frame-by-frame mean (lines)."""
    series = [
        Series(
            key=key,
            label=ROW_LABELS[key],
            line=[(int(k) / fps, s.mean) for k, s in rows[key][f"{metric}_frame"].items()],
            points=[
                (int(k) - 0.5, s.mean, *(s.ci95 or (s.mean, s.mean)))
                for k, s in rows[key].get(f"{metric}_second", {}).items()
            ],
        )
        for key in ROWS
        if key in rows
    ]
    unit = "PSNR, dB" if metric == "psnr" else "SSIM"
    svg = line_chart(series, title=title, x_label="seconds after the context ends", y_label=unit, width=width)
    return f'<figure class="card plot"><figcaption>{escape(title)}</figcaption>{svg}</figure>'


def bars(items: Sequence[tuple[str, str, float, str]], *, title: str) -> str:
    """A card with horizontal bars ``(label, key, value, text)``."""
    return f'<figure class="card plot bars"><figcaption>{escape(title)}</figcaption>{bar_chart(items, title=title)}</figure>'


def side_by_side(*blocks: str) -> str:
    """Blocks in columns where there is room."""
    return f'<div class="columns">{"".join(blocks)}</div>'


def horizon_table(groups: dict[str, dict[str, Row]], *, labels: dict[str, str]) -> str:
    """PSNR with interval and SSIM over each horizon, a block a group, the best of model and floors in bold."""
    horizons = list(next(iter(groups.values()))[MODEL]["psnr_horizon"])
    head = "".join(f'<th colspan="2">{escape(h)} s</th>' for h in horizons)
    sub = "<th>PSNR, dB</th><th>SSIM</th>" * len(horizons)
    body = "".join(_group_rows(labels.get(g, g), rows, horizons) for g, rows in groups.items())
    top = f'<thead><tr><th rowspan="2"></th>{head}</tr><tr>{sub}</tr></thead>'
    return f'<div class="card scroll"><table>{top}{body}</table></div>'


def _group_rows(label: str, rows: dict[str, Row], horizons: Sequence[str]) -> str:
    clips = rows[MODEL]["psnr_horizon"][horizons[0]].n
    span = 1 + 2 * len(horizons)
    lines = [f'<tr class="group"><th colspan="{span}">{escape(label)} <span>n = {clips}</span></th></tr>']
    for key in (k for k in ROWS if k in rows):
        cells = "".join(
            f"<td>{_cell(key, metric, h, rows)}</td>"
            for h in horizons
            for metric in ("psnr_horizon", "ssim_horizon")
        )
        dot = f'<i class="dot" style="background:{colour(key)}"></i>'
        lines.append(f"<tr><th>{dot}{escape(ROW_LABELS[key])}</th>{cells}</tr>")
    return f"<tbody>{''.join(lines)}</tbody>"


def _cell(key: str, metric: str, horizon: str, rows: dict[str, Row]) -> str:
    score = rows[key][metric][horizon]
    contest = [rows[k][metric][horizon].mean for k in rows if k in (MODEL, COPY_LAST, FLOW_WARP)]
    text = number(score, digits=2 if metric.startswith("psnr") else 3)
    return f"<strong>{text}</strong>" if key != CEILING and score.mean >= max(contest) else text


def number(score: Score, *, digits: int) -> str:
    """``mean`` with half the width of its interval, as HTML."""
    text = f"{score.mean:.{digits}f}"
    if score.ci95 is None or digits != 2:
        return text
    return f"{text} <small>± {(score.ci95[1] - score.ci95[0]) / 2:.{digits}f}</small>"

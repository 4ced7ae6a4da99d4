"""The page of the ``tokenizer`` suite: pictures side by side, scores beside H.264 at equal bits, bits, speed, checks."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from worldfoundry.core.errors import require_package
from worldfoundry.evaluate import report
from worldfoundry.evaluate.config import ALL, MODEL, EvalResult, Row, Score
from worldfoundry.evaluate.tokenizer import METRICS, Example
from worldfoundry.evaluate.tokenizer_config import H264, REAL
from worldfoundry.protocols.frames import Frames

_LABELS = {"truth": "truth", MODEL: "tokenizer", H264: "H.264, equal bits", REAL: "other true clips"}
_CAUSALITY = {True: "exact", False: "broken", None: "not checked"}
_DIGITS = {"psnr_clip": 2, "psnr-frames_clip": 2, "flicker_clip": 3, "bpp_clip": 4}
_NAMES = {
    "psnr_clip": "PSNR, dB, pooled over a clip",
    "psnr-frames_clip": "PSNR, dB, mean over frames",
    "ssim_clip": "SSIM, gaussian 11",
    "ssim-uniform_clip": "SSIM, uniform 7",
    "flicker_clip": "flicker, grey levels",
    "bpp_clip": "bits a pixel",
}
_STRIP_FRAMES, _ERROR_GAIN, _TILE_PX = 6, 4, 192


def tokenizer_page(result: EvalResult, examples: Sequence[Example]) -> str:
    """The whole document."""
    name = result.models["tokenizer"]["name"]
    whole = result.groups.get(ALL) or next(iter(result.groups.values()))
    return report.page(
        title=f"What {name} keeps",
        kind="tokenizer evaluation",
        story=_story(result, whole),
        headlines=_headlines(result, whole),
        sections=[
            _pictures(examples),
            _scores(result),
            _cost(result),
            _method(result),
        ],
        foot="This file is complete: films and pictures are inside it, and it never asks the network for anything.",
    )


def _mean(row: Row, metric: str) -> float:
    return row[metric][ALL].mean


def _story(result: EvalResult, whole: dict[str, Row]) -> str:
    data, model = result.data, whole[MODEL]
    text = (
        f"{len(data['clips'])} clips of {data['videos']} videos were encoded and decoded: {_mean(model, 'psnr_clip'):.2f} dB at "
        f"{_mean(model, 'bpp_clip'):.3f} bits a pixel"
    )
    if H264 not in whole:
        return f"{text}."
    gap = _mean(model, "psnr_clip") - _mean(whole[H264], "psnr_clip")
    verdict = "above" if gap > 0 else "below"
    return (
        f"{text}, {abs(gap):.2f} dB {verdict} H.264 that was given as many bits and took "
        f"{100 * result.facts['h264']['bits_of_allowed_mean']:.0f} % of them."
    )


def _headlines(result: EvalResult, whole: dict[str, Row]) -> list[report.Headline]:
    model, speed = whole[MODEL], result.facts["speed"]
    found = [
        (f"{_mean(model, 'psnr_clip'):.2f} dB", "PSNR, pooled over a clip, mean over videos"),
        (f"{_mean(model, 'ssim_clip'):.3f}", "SSIM, gaussian window"),
        (f"{_mean(model, 'bpp_clip'):.3f}", "bits a pixel, stored"),
        (
            f"{speed['encode']['times_realtime']:.1f}x / {speed['decode']['times_realtime']:.1f}x",
            f"realtime, encode / decode, {speed['threads']} CPU thread(s)",
        ),
        (_CAUSALITY[result.facts["causality"]["is_causal"]], "causality"),
    ]
    return [report.Headline(value=value, label=label) for value, label in found]


def _pictures(examples: Sequence[Example]) -> report.Section:
    blocks: list[str] = []
    for example in examples:
        panels = [
            report.Panel(key=row, label=_LABELS[row], frames=_square(film), note=_psnr(example, row))
            for row, film in example.films.items()
        ]
        caption = "Centre square, in step."
        blocks.append(report.reel(report.Reel(title=example.name, caption=caption, panels=panels)))
        rows = [
            report.strip(_LABELS[row], _psnr(example, row), _filmstrip(film.pixels))
            for row, film in example.films.items()
        ]
        truth = example.films["truth"].pixels
        rows += [
            report.strip(
                f"error, {_LABELS[row]}",
                f"{_ERROR_GAIN} times, grey is none",
                _filmstrip(_error(truth, film.pixels)),
            )
            for row, film in example.films.items()
            if row != "truth"
        ]
        blocks.append(f'<div class="card">{"".join(rows)}</div>')
    return report.Section(
        name="pictures",
        kicker="Pictures",
        title="Side by side",
        lead=(
            "The first clip of each video, at the size that was scored, enlarged; below, six of its frames and what is wrong "
            "with them."
        ),
        html=blocks,
    )


def _psnr(example: Example, row: str) -> str:
    return f"{example.psnr[row]:.2f} dB" if row in example.psnr else "as it was scored"


def _square(frames: Frames) -> Frames:
    h, w = frames.pixels.shape[1:3]
    side = min(h, w)
    top, left = (h - side) // 2, (w - side) // 2
    return Frames.at_constant_rate(frames.pixels[:, top : top + side, left : left + side], frames.fps)


def _error(truth: np.ndarray, recon: np.ndarray) -> np.ndarray:
    """Signed difference around grey, enlarged in value."""
    difference = recon.astype(np.int16) - truth.astype(np.int16)
    return (128 + _ERROR_GAIN * difference).clip(0, 255).astype(np.uint8)


def _filmstrip(pixels: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 3]: some frames beside each other, the same for every row."""
    cv2 = require_package("cv2", "curate")
    h, w = pixels.shape[1:3]
    chosen = np.linspace(0, len(pixels) - 1, min(_STRIP_FRAMES, len(pixels))).round().astype(int)
    size = (round(_TILE_PX * w / h), _TILE_PX)
    return np.concatenate(
        [cv2.resize(pixels[k], size, interpolation=cv2.INTER_CUBIC) for k in chosen], axis=1
    )


def _scores(result: EvalResult) -> report.Section:
    return report.Section(
        name="scores",
        kicker="Scores",
        title="Beside H.264 at equal bits",
        lead=(
            "Means over videos with half the width of their 95 % interval. PSNR is given in both conventions: pooled takes "
            "the error of the whole clip first, the mean over frames rewards single good frames. Distances are of the whole set."
        ),
        html=[_table(result), *(report.note(n) for n in _warnings(result))],
    )


def _warnings(result: EvalResult) -> list[str]:
    notes = [f"Left out: {reason}" for reason in result.facts.get("left_out", [])]
    if any(name.startswith("random-") for name in result.protocol["extractors"]):
        notes.append(
            "Distances named random-… come from fixed random networks. They order degradations of the same clips, and "
            "compare with nothing that others call FID or FVD."
        )
    if result.data["videos"] < 10:
        notes.append(f"{result.data['videos']} videos are few: read the intervals, not the digits.")
    return notes


def _table(result: EvalResult) -> str:
    rows = [r for r in (MODEL, H264, REAL) if any(r in g for g in result.groups.values())]
    head = "".join(f"<th>{escape(_LABELS[r])}</th>" for r in rows)
    body = ""
    for group, table in result.groups.items():
        first = next(iter(table[MODEL].values()))[ALL]
        body += f'<tr class="group"><th colspan="{1 + len(rows)}">{escape(group)} <span>n = {first.n} videos</span></th></tr>'
        for name in dict.fromkeys(n for r in rows for n in table.get(r, {})):
            cells = "".join(f"<td>{_cell(name, table.get(r, {}))}</td>" for r in rows)
            body += f"<tr><th>{escape(_NAMES.get(name, name.removesuffix('_set')))}</th>{cells}</tr>"
    return f'<div class="card scroll"><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(name: str, row: Row) -> str:
    if name not in row:
        return ""
    score: Score = row[name][ALL]
    digits = _DIGITS.get(name, 3)
    half = ""
    if score.ci95 is not None:
        half = f" <small>± {(score.ci95[1] - score.ci95[0]) / 2:.{digits}f}</small>"
    return f"{score.mean:.{digits}f}{half}"


def _cost(result: EvalResult) -> report.Section:
    facts = result.facts
    speed, causality = facts["speed"], facts["causality"]
    pairs = [
        ("clip that was timed", f"{speed['clip'][2]} frames of {speed['clip'][4]}x{speed['clip'][3]} px"),
        *(item for name in ("encode", "decode") for item in _speed(name, speed[name])),
        (
            "causality",
            f"{causality['positions']} positions, largest change of the past {causality['encoder_largest_change']:g} in latents, "
            f"{causality['decoder_largest_change']:g} in pixels",
        ),
    ]
    if "codebook" in facts:
        book = facts["codebook"]
        pairs += [
            ("codebook", f"{book['size']} codes, {100 * book['used_share']:.1f} % in use"),
            ("perplexity", f"{book['perplexity']:.0f}, of {book['codes_counted']} codes counted"),
        ]
    if "h264" in facts:
        low, high = facts["h264"]["bits_of_allowed_range"]
        pairs.append(
            (
                "H.264",
                f"median crf {facts['h264']['median_crf']:.1f}, {100 * low:.1f} to {100 * high:.1f} % of the bits allowed",
            )
        )
    return report.Section(
        name="cost",
        kicker="Cost and checks",
        title="Bits, speed, memory, causality",
        lead="Times are medians of one clip on this machine; memory is by how much the work raises the peak of the process.",
        html=[report.facts(pairs)],
    )


def _speed(name: str, found: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (
            name,
            f"{found['times_realtime']:.2f}x realtime, {found['cpu_seconds_per_video_second']:.3f} CPU s a video second",
        ),
        (f"{name}, memory", f"{found['peak_bytes'] / 1e6:.0f} MB"),
    ]


def _method(result: EvalResult) -> report.Section:
    p, data = result.protocol, result.data
    pairs = [
        ("protocol", f"{p['id']} {p['version']}"),
        *((f"{role} weights", f"{m['name']} · {m['sha256']}") for role, m in result.models.items()),
        (
            "data",
            f"{data['folder']}, layout {data.get('layout', 'plain')}, pixels sha256 {data['pixels_sha256'][:16]}",
        ),
        ("clips", f"{p['num_frames']} frames at {p['fps']:g} fps, {p['size_px']} px, {p['shape']}"),
        *((f"extractor {name}", f"sha256 {sha[:16]}") for name, sha in p["extractors"].items()),
        ("interval", p["interval"]),
        ("H.264", p["h264"]),
        *result.versions.items(),
        *((_NAMES[name], text) for name, text in METRICS.items()),
    ]
    return report.Section(
        name="method",
        kicker="Method",
        title="How it was measured",
        lead="All of it, and the value of every clip, is in eval.json beside this file.",
        html=[report.facts(pairs)],
    )

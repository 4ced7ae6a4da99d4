"""The chapters of the demo's report, each from a finished ``Story``."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from worldfoundry.cli.text import counted
from worldfoundry.core.errors import DataError
from worldfoundry.data.video_io import read_video
from worldfoundry.evaluate import report as page
from worldfoundry.evaluate.config import (
    ALL,
    CEILING,
    COPY_LAST,
    DEFAULT_TOKENIZER,
    FLOORS,
    FLOW_WARP,
    MODEL,
    ROWS,
    Row,
)
from worldfoundry.evaluate.reconstruction import score_reconstruction
from worldfoundry.evaluate.rollout import score_rows, summarise
from worldfoundry.protocols.video import Frames

if TYPE_CHECKING:
    from worldfoundry.cli.demo_work import Story, Told

NUM_THUMBNAILS = 18
SCENE_TITLES = {"free-fall": "Free fall", "tilted-plane": "Tilted plane", "dominoes": "Dominoes"}
REASONS = {
    "too_short": "too short",
    "damaged": "damaged file",
    "duplicate_source": "copy of another file",
    "blank": "an empty picture",
    "static": "nothing moves",
    "shaking": "the camera shakes",
    "low_quality": "poor quality",
    "overlay_text": "overlaid text",
    "unwanted_type": "a type that is not wanted",
    "duplicate": "copy of a better clip",
    "mix": "left out for the mix",
}
_COUNTS = {1: "one", 2: "two", 3: "three"}
TIMES = "\N{MULTIPLICATION SIGN}"


def is_kept(row: dict[str, Any]) -> bool:
    """Whether a row of the index is a kept clip."""
    return row["decision"] == "kept"


def clip_title(row: dict[str, Any]) -> str:
    """Source and span of a clip; of a source without clips, its name."""
    span = f"{row['start_s']:.1f} to {row['end_s']:.1f} s" if row["clip_id"] else "whole file"
    return f"{Path(row['source']).stem} · {span}"


def best_floor(rows: dict[str, Row], horizon: str) -> float:
    """The higher PSNR of the two floors."""
    return max(rows[f]["psnr_horizon"][horizon].mean for f in (COPY_LAST, FLOW_WARP))


def real_wins(story: "Story") -> tuple[int, list[str]]:
    """At how many horizons the model is above both floors in PSNR on the real clips, and the horizons."""
    horizons = list(story.real_scores[MODEL]["psnr_horizon"])
    ahead = (
        story.real_scores[MODEL]["psnr_horizon"][h].mean > best_floor(story.real_scores, h) for h in horizons
    )
    return sum(ahead), horizons


def context_of(story: "Story") -> int:
    """Frames that the model was given."""
    return int(story.result.protocol["context_frames"])


def curation_chapter(story: "Story") -> page.Section:
    """What became of the raw footage."""
    reasons = Counter(r["reason"] for r in story.clips if not is_kept(r))
    left = len(story.clips)
    steps = [("clips found", left)]
    for reason, n in reasons.most_common():
        left -= n
        steps.append((f"left after: {REASONS.get(reason, reason)}", left))
    ordered = sorted(story.clips, key=lambda r: not is_kept(r))
    shown = _mixed(ordered, NUM_THUMBNAILS)
    sources = len({r["source"] for r in story.clips})
    blocks = [page.funnel(steps), page.thumbnails([_thumbnail(r, story.samples) for r in shown])]
    if len(shown) < len(story.clips):
        blocks.append(page.paragraph(f"{len(shown)} of {len(story.clips)} clips are shown."))
    return page.Section(
        name="curation",
        kicker="Curation",
        title=f"{counted(sources, 'file')} became {counted(sum(map(is_kept, story.clips)), 'usable clip')}",
        lead=(
            "Each file is decoded once and cut at its shots. Clips that are too short, do not move, shake, look poor, carry "
            "overlaid text or repeat a better one are set aside with a reason, and the rest "
            "are written in one uniform H.264. Nothing disappears silently: every clip has a row in curated/index.parquet."
        ),
        html=blocks,
    )


def _mixed(ordered: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """Kept clips first, but a third of the places for rejected ones where there are enough."""
    kept = [r for r in ordered if is_kept(r)]
    rejected = [r for r in ordered if not is_kept(r)]
    places = max(most - len(rejected), most * 2 // 3)
    return (kept[:places] + rejected)[:most]


def _thumbnail(row: dict[str, Any], samples: Path) -> page.Thumbnail:
    reason: str = "" if is_kept(row) else REASONS.get(row["reason"], str(row["reason"]))
    if row["reason"] and row["detail"]:
        reason += f": {row['detail']}"
    try:
        source, start = samples / row["source"], row["start_s"] or 0.0
        picture = read_video(source, start_seconds=start, max_frames=1, height=240).pixels[0]
    except DataError:
        picture = None  # the reason, which is on the card, says what is wrong with the file
    return page.Thumbnail(picture=picture, title=clip_title(row), reason=reason)


def pair_scores(told: "Told") -> tuple[float, float]:
    """PSNR and SSIM of a round trip."""
    psnr, ssim = score_reconstruction(told.truth, told.rows[CEILING])
    return float(psnr[0]), float(ssim[0])


def tokenizer_chapter(story: "Story", packing: float, scores: Sequence[tuple[float, float]]) -> page.Section:
    """Real clips through the tokenizer."""
    spec = story.world.spec.tokenizer
    is_nano = story.result.models["tokenizer"]["name"] == DEFAULT_TOKENIZER
    seen = (
        f" The nano tokenizer has seen 64-pixel crops only, so a grid shows at {story.tokenizer_px} px."
        if is_nano
        else ""
    )
    reels, items = [], []
    for told, (psnr, ssim) in zip(story.round_trips, scores, strict=True):
        decoded = told.rows[CEILING].to_frames()
        error = np.abs(told.truth.to_frames().pixels.astype(np.int16) - decoded.pixels)
        amplified = Frames.at_constant_rate(np.clip(error * 4, 0, 255).astype(np.uint8), decoded.fps)
        panels = [
            page.Panel(key="truth", label="original", frames=told.truth.to_frames(), note="as curated"),
            page.Panel(key=CEILING, label="reconstruction", frames=decoded, note="decoded from the latent"),
            page.Panel(key="error", label="difference", frames=amplified, note="four times enlarged"),
        ]
        caption = f"PSNR {psnr:.2f} dB, SSIM {ssim:.3f} over {told.truth.num_frames} frames"
        reels.append(
            page.reel(
                page.Reel(title=told.title, caption=caption, panels=panels), panel_px=story.tokenizer_px
            )
        )
        items.append((told.title.split(" · ")[0][:26], CEILING, psnr, f"{psnr:.1f} dB · {ssim:.3f}"))
    return page.Section(
        name="tokenizer",
        kicker="Tokenizer",
        title=f"{packing:.0f} pixel values go into one latent value, and back",
        lead=(
            f"The causal wavelet tokenizer turns {spec.temporal_stride} frames of {spec.spatial_stride} {TIMES} "
            f"{spec.spatial_stride} pixels into {spec.latent_channels} numbers. Each clip here is the centre square of a "
            f"kept real clip, resized to {story.tokenizer_px} px and resampled to {story.world.spec.fps:g} frames a second.{seen}"
        ),
        html=[*reels, page.bars(items, title="PSNR and SSIM of the round trip, whole clip")],
    )


def _rollout_reel(told: "Told", caption: str, context_frames: int) -> str:
    truth = told.truth.to_frames()
    panels = [page.Panel(key="truth", label="ground truth", frames=truth)]
    for key in (MODEL, COPY_LAST, FLOW_WARP, CEILING):
        after = told.rows[key].to_frames().pixels
        whole = Frames.at_constant_rate(np.concatenate([truth.pixels[:context_frames], after]), truth.fps)
        panels.append(page.Panel(key=key, label=page.ROW_LABELS[key], frames=whole))
    return page.reel(
        page.Reel(title=told.title, caption=caption, panels=panels, context_frames=context_frames),
        panel_px=192,
    )


def _scores_caption(rows: dict[str, Row], horizon: str) -> str:
    parts = [f"{page.ROW_LABELS[k]} {rows[k]['psnr_horizon'][horizon].mean:.1f}" for k in ROWS]
    return f"PSNR over {horizon} s, dB: " + " · ".join(parts)


def world_chapter(story: "Story") -> page.Section:
    """The held-out simulated scenes, as films and by second."""
    spec, context, n_scenes = story.world.spec, context_of(story), len(story.simulated)
    blocks = []
    for scene, told in story.simulated.items():
        rows = story.result.groups[scene]
        horizon = list(rows[MODEL]["psnr_horizon"])[-1]
        n = rows[MODEL]["psnr_horizon"][horizon].n
        caption = f"{_scores_caption(rows, horizon)} (mean of {n} clips)"
        blocks.append(_rollout_reel(told, caption, context))
    pooled = [
        page.score_chart(
            story.result.groups[ALL], fps=spec.fps, metric=m, title=f"{m.upper()} by second, all scenes"
        )
        for m in ("psnr", "ssim")
    ]
    by_scene = [
        page.score_chart(
            story.result.groups[s],
            fps=spec.fps,
            metric="psnr",
            title=f"{SCENE_TITLES.get(s, s)}: PSNR by second",
            width=470,
        )
        for s in story.simulated
    ]
    return page.Section(
        name="world",
        kicker="World model",
        title=f"What happens next, in new draws of the {_COUNTS.get(n_scenes, n_scenes)} scenes it knows",
        lead=(
            f"The model gets {context} frames ({context / spec.fps:.1f} s) at {spec.width} {TIMES} {spec.height} px and goes on "
            "by itself, in latent space. Beside it: the truth, two floors that know no physics, and the ceiling that its "
            "tokenizer allows. Frames with a dark border are given, those with a coloured border are predicted."
        ),
        html=[*blocks, page.side_by_side(*pooled), page.side_by_side(*by_scene)],
    )


def numbers_chapter(story: "Story") -> page.Section:
    """The scores behind them."""
    n = int(story.result.groups[next(iter(story.simulated))][MODEL]["psnr_horizon"]["1"].n)
    return page.Section(
        name="numbers",
        kicker="Numbers",
        title="By horizon, against floors and ceiling",
        lead=(
            f"{n} held-out clips of each scene, seeds {story.result.data['seeds'][0]:,} and up, which training never uses. "
            "PSNR pools the error over all predicted frames up to the horizon, then averages over clips; ± is half of the 95 % "
            "bootstrap interval. Bold is the best of model and floors."
        ),
        html=[
            page.horizon_table(story.result.groups, labels={**SCENE_TITLES, ALL: "All scenes"}),
            page.paragraph(_paired(story.result.groups[ALL])),
            page.note(
                "Read the films with the numbers. PSNR prefers a blur without the ball to a sharp ball in the wrong place, so a "
                "model can be ahead of the floors and still have lost the object."
            ),
        ],
    )


def _paired(rows: dict[str, Row]) -> str:
    """Model minus floor on the same clips: the comparison that the spread between clips does not blur."""
    parts = []
    for floor in FLOORS:
        for h, s in rows[f"model-minus-{floor}"]["psnr_horizon"].items():
            interval = f" ({s.ci95[0]:+.2f} to {s.ci95[1]:+.2f})" if s.ci95 else ""
            parts.append(f"{page.ROW_LABELS[floor]}, {h} s: {s.mean:+.2f} dB{interval}")
    return "Model minus floor on the same clips, all scenes, with 95 % interval. " + "; ".join(parts) + "."


def real_chapter(story: "Story") -> page.Section:
    """The world model on real clips."""
    wins, horizons = real_wins(story)
    spec, context = story.world.spec, context_of(story)
    reels = []
    for told in story.real:
        rows = summarise(
            score_rows(told.truth, told.rows), fps=spec.fps, horizons=tuple(int(h) for h in horizons)
        )
        reels.append(_rollout_reel(told, _scores_caption(rows, horizons[-1]), context))
    verdict = (
        f"On these {len(story.real)} real clips the model beats both floors at {wins} of {len(horizons)} horizons in PSNR. "
        "This is a handful of clips and no benchmark."
    )
    if wins < len(horizons):
        verdict += (
            f" It is a small model at {spec.width} px: expect blur and things that dissolve. Where the camera barely moves, "
            "copying the last frame is very hard to beat, and PSNR punishes a sharp but wrong guess."
        )
    return page.Section(
        name="real",
        kicker="Real clips",
        title="The same model on real footage",
        lead=(
            f"The first {context} frames of kept real clips, continued in the same way. Centre square, {spec.width} px, "
            f"{spec.fps:g} frames a second: the only size and rate this model knows."
        ),
        html=[
            page.note(verdict),
            *reels,
            page.horizon_table({"real": story.real_scores}, labels={"real": "Real clips"}),
        ],
    )

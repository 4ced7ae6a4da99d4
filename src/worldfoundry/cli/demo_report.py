"""What the demo's report says: the chapters, from a finished ``Story``."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.data.video_io import read_video
from worldfoundry.evaluate import report as page
from worldfoundry.evaluate.config import ALL, CEILING, COPY_LAST, FLOORS, FLOW_WARP, MODEL, ROWS, Row
from worldfoundry.evaluate.reconstruction import score_reconstruction
from worldfoundry.evaluate.rollout import score_rows, summarise, versions
from worldfoundry.protocols.video import Frames

if TYPE_CHECKING:
    from worldfoundry.cli.demo import DemoArgs
    from worldfoundry.cli.demo_work import Story, Told

NUM_THUMBNAILS = 18
SCENE_TITLES = {"free-fall": "Free fall", "tilted-plane": "Tilted plane", "dominoes": "Dominoes"}
REASONS = {
    "too_short": "too short",
    "static": "nothing moves",
    "damaged": "damaged file",
    "duplicate_source": "copy of another file",
    "failed": "failed",
}
NUMERALS = {1: "One", 5: "Five", 9: "Nine"}
TIMES = "\N{MULTIPLICATION SIGN}"


def clip_title(row: dict[str, Any]) -> str:
    """Source and span of a clip."""
    return f"{Path(row['source']).stem} · {row['start_seconds']:.1f} to {row['end_seconds']:.1f} s"


def tell(story: "Story", options: "DemoArgs") -> str:
    """The report as HTML."""
    pooled = story.result.groups[ALL]
    horizon = list(pooled[MODEL]["psnr_horizon"])[-1]
    model, best_floor = pooled[MODEL]["psnr_horizon"][horizon].mean, _best_floor(pooled, horizon)
    round_trip_scores = [_pair_scores(t) for t in story.round_trips]
    psnr = float(np.mean([p for p, _ in round_trip_scores]))
    kept = sum(bool(r["kept"]) for r in story.clips)
    spec = story.world.spec.tokenizer
    context = _context(story)
    packing = 3 * spec.temporal_stride * spec.spatial_stride**2 / spec.latent_channels
    return page.page(
        title=f"{NUMERALS.get(context, context)} frames in, the next {horizon} seconds out",
        story=(
            f"Raw footage was cut into {kept} clean clips, squeezed {packing:.0f}-fold by the tokenizer, and continued by "
            f"a world model that saw {context / story.world.spec.fps:.1f} s of each. On held-out simulated scenes its "
            f"prediction is {_gap(model - best_floor)} the best guess that knows no physics; on real footage it "
            f"{_real_verdict(story)}."
        ),
        headlines=[
            page.Headline(value=f"{kept} of {len(story.clips)}", label="clips kept by the curation"),
            page.Headline(
                value=f"{psnr:.1f} dB", label=f"tokenizer PSNR on real clips at {story.tokenizer_px} px"
            ),
            page.Headline(value=f"{model:.1f} dB", label=f"world PSNR over {horizon} s, simulated scenes"),
            page.Headline(
                value=f"{model - best_floor:+.1f} dB", label="against the best floor over the same horizon"
            ),
            page.Headline(
                value=f"{sum(story.seconds.values()):.0f} s", label="for everything below, on this machine"
            ),
        ],
        sections=[
            _curation_chapter(story),
            _tokenizer_chapter(story, packing, round_trip_scores),
            _world_chapter(story),
            _numbers_chapter(story),
            _real_chapter(story),
            _repeat_chapter(story, options),
        ],
        foot="This file is complete: films, pictures and charts are inside it, and it never asks the network for anything.",
    )


def _best_floor(rows: dict[str, Row], horizon: str) -> float:
    return max(rows[f]["psnr_horizon"][horizon].mean for f in (COPY_LAST, FLOW_WARP))


def _gap(difference: float) -> str:
    return f"{abs(difference):.1f} dB {'above' if difference > 0 else 'below'}"


def _real_verdict(story: "Story") -> str:
    wins, horizons = _real_wins(story)
    if wins == len(horizons):
        return "stays ahead of both floors at every horizon, on these few clips"
    if wins:
        return f"beats both floors at {wins} of {len(horizons)} horizons"
    return "does not yet beat simply repeating the last frame or its motion"


def _real_wins(story: "Story") -> tuple[int, list[str]]:
    horizons = list(story.real_scores[MODEL]["psnr_horizon"])
    ahead = (
        story.real_scores[MODEL]["psnr_horizon"][h].mean > _best_floor(story.real_scores, h) for h in horizons
    )
    return sum(ahead), horizons


def _curation_chapter(story: "Story") -> page.Section:
    reasons = Counter(r["reason"] for r in story.clips if not r["kept"])
    left = len(story.clips)
    steps = [("clips found", left)]
    for reason, n in reasons.most_common():
        left -= n
        steps.append((f"left after: {REASONS.get(reason, reason)}", left))
    ordered = sorted(story.clips, key=lambda r: not r["kept"])
    shown = _mixed(ordered, NUM_THUMBNAILS)
    sources = len({r["source"] for r in story.clips})
    blocks = [page.funnel(steps), page.thumbnails([_thumbnail(r, story.samples) for r in shown])]
    if len(shown) < len(story.clips):
        blocks.append(page.paragraph(f"{len(shown)} of {len(story.clips)} clips are shown."))
    return page.Section(
        name="curation",
        kicker="Curation",
        title=f"{sources} files became {sum(bool(r['kept']) for r in story.clips)} usable clips",
        lead=(
            "Each file is cut at its shots, clips that are too short or do not move are set aside with a reason, and the "
            "rest are written in one uniform H.264. Nothing disappears silently: every clip has a row in curated/index.parquet."
        ),
        html=blocks,
    )


def _mixed(ordered: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """Kept clips first, but a third of the places for rejected ones where there are enough."""
    kept = [r for r in ordered if r["kept"]]
    rejected = [r for r in ordered if not r["kept"]]
    places = max(most - len(rejected), most * 2 // 3)
    return (kept[:places] + rejected)[:most]


def _thumbnail(row: dict[str, Any], samples: Path) -> page.Thumbnail:
    reason: str = "" if row["kept"] else REASONS.get(row["reason"], str(row["reason"]))
    if row["reason"] and row["detail"]:
        reason += f": {row['detail']}"
    try:
        source, start = samples / row["source"], row["start_seconds"]
        picture = read_video(source, start_seconds=start, max_frames=1, height=240).pixels[0]
    except DataError:
        picture = None  # the reason, which is on the card, says what is wrong with the file
    return page.Thumbnail(picture=picture, title=clip_title(row), reason=reason)


def _pair_scores(told: "Told") -> tuple[float, float]:
    psnr, ssim = score_reconstruction(told.truth, told.rows[CEILING])
    return float(psnr[0]), float(ssim[0])


def _tokenizer_chapter(story: "Story", packing: float, scores: Sequence[tuple[float, float]]) -> page.Section:
    spec = story.world.spec.tokenizer
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
            f"kept real clip, resized to {story.tokenizer_px} px and resampled to {story.world.spec.fps:g} frames a second."
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


def _context(story: "Story") -> int:
    return int(story.result.protocol["context_frames"])


def _world_chapter(story: "Story") -> page.Section:
    spec, context = story.world.spec, _context(story)
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
        title="What happens next, in scenes it has never seen",
        lead=(
            f"The model gets {context} frames ({context / spec.fps:.1f} s) at {spec.width} {TIMES} {spec.height} px and goes on "
            "by itself, in latent space. Beside it: the truth, two floors that know no physics, and the ceiling that its "
            "tokenizer allows. Dark frames are given, coloured frames are predicted."
        ),
        html=[*blocks, page.side_by_side(*pooled), page.side_by_side(*by_scene)],
    )


def _numbers_chapter(story: "Story") -> page.Section:
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


def _real_chapter(story: "Story") -> page.Section:
    wins, horizons = _real_wins(story)
    spec, context = story.world.spec, _context(story)
    reels = []
    for told in story.real:
        rows = summarise(
            score_rows(told.truth, told.rows), fps=spec.fps, horizons=tuple(int(h) for h in horizons)
        )
        reels.append(_rollout_reel(told, _scores_caption(rows, horizons[-1]), context))
    verdict = (
        f"On these {len(story.real)} real clips the model beats both floors at {wins} of {len(horizons)} horizons. This is "
        "a handful of clips and no benchmark."
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


def _repeat_chapter(story: "Story", options: "DemoArgs") -> page.Section:
    lines = [
        f"worldfoundry demo --samples {options.samples} --model {options.model} "
        f"--num-clips {options.num_clips} --num-real-clips {options.num_real_clips}",
        "",
        "# step by step",
        f"worldfoundry curate run {options.samples} --out curated/",
        f"worldfoundry evaluate reconstruction --model {story.result.models['tokenizer']['name']}",
        f"worldfoundry evaluate rollout --model {options.model} --num-clips 50",
    ]
    models = [
        (f"{role} weights", f"{m['name']} · sha256 {m['sha256'][:12]}")
        for role, m in story.result.models.items()
    ]
    times = [(f"time: {name}", f"{seconds:.1f} s") for name, seconds in story.seconds.items()]
    protocol = story.result.protocol
    return page.Section(
        name="repeat",
        kicker="Repeat it",
        title="The exact commands",
        lead=(
            "The same samples, weights, seeds and versions give the same numbers. All scores are in eval.json beside "
            "this file."
        ),
        html=[
            page.commands(lines),
            page.facts(
                [
                    ("protocol", f"{protocol['id']} {protocol['version']}"),
                    ("model seed", str(protocol["model_seed"])),
                    *models,
                    *versions().items(),
                    *times,
                ]
            ),
        ],
    )

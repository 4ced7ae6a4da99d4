"""What the demo's report says: the story and its headlines, from a finished ``Story``."""

from typing import TYPE_CHECKING

import numpy as np

from worldfoundry.cli.demo_chapters import (
    best_floor,
    context_of,
    curation_chapter,
    is_kept,
    numbers_chapter,
    pair_scores,
    real_chapter,
    real_wins,
    tokenizer_chapter,
    world_chapter,
)
from worldfoundry.cli.text import counted
from worldfoundry.evaluate import report as page
from worldfoundry.evaluate.config import ALL, COPY_LAST, MODEL, Row
from worldfoundry.evaluate.rollout import versions

if TYPE_CHECKING:
    from worldfoundry.cli.demo import DemoArgs
    from worldfoundry.cli.demo_work import Story

_NUMERALS = {1: "One", 5: "Five", 9: "Nine"}


def tell(story: "Story", options: "DemoArgs") -> str:
    """The report as HTML."""
    pooled = story.result.groups[ALL]
    horizon = list(pooled[MODEL]["psnr_horizon"])[-1]
    model, floor = pooled[MODEL]["psnr_horizon"][horizon].mean, best_floor(pooled, horizon)
    round_trip_scores = [pair_scores(t) for t in story.round_trips]
    psnr = float(np.mean([p for p, _ in round_trip_scores]))
    kept = sum(is_kept(r) for r in story.clips)
    spec = story.world.spec.tokenizer
    context = context_of(story)
    packing = 3 * spec.temporal_stride * spec.spatial_stride**2 / spec.latent_channels
    return page.page(
        title=f"{_NUMERALS.get(context, context)} frames in, the next {horizon} seconds out",
        story=(
            f"Raw footage was cut into {counted(kept, 'clean clip')}. {len(story.real)} of them went through the tokenizer, "
            f"where {packing:.0f} pixel values become one latent value, and {_were(len(story.real))} continued by a world model "
            f"that saw {context / story.world.spec.fps:.1f} s of each. On held-out simulated scenes its prediction is "
            f"{_gap(model - floor)} the best guess that knows no physics, in PSNR over {horizon} s{_ssim_caveat(pooled)}; on "
            f"real footage it {_real_verdict(story)}."
        ),
        headlines=[
            page.Headline(value=f"{kept} of {len(story.clips)}", label="clips kept by the curation"),
            page.Headline(
                value=f"{psnr:.1f} dB", label=f"tokenizer PSNR on real clips at {story.tokenizer_px} px"
            ),
            page.Headline(value=f"{model:.1f} dB", label=f"world PSNR over {horizon} s, simulated scenes"),
            page.Headline(
                value=f"{model - floor:+.1f} dB",
                label=f"PSNR against the best floor, over the same {horizon} s",
            ),
            page.Headline(
                value=f"{sum(story.seconds.values()):.0f} s", label="for everything below, on this machine"
            ),
        ],
        sections=[
            curation_chapter(story),
            tokenizer_chapter(story, packing, round_trip_scores),
            world_chapter(story),
            numbers_chapter(story),
            real_chapter(story),
            _repeat_chapter(story, options),
        ],
        foot="This file is complete: films, pictures and charts are inside it, and it never asks the network for anything.",
    )


def _gap(difference: float) -> str:
    return f"{abs(difference):.1f} dB {'above' if difference > 0 else 'below'}"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _ssim_caveat(rows: dict[str, Row]) -> str:
    """The first horizon, where SSIM, which rewards fine detail, may say otherwise than PSNR."""
    first = next(iter(rows[MODEL]["ssim_horizon"]))
    model, copied = (rows[key]["ssim_horizon"][first].mean for key in (MODEL, COPY_LAST))
    if model >= copied:
        return ""
    return f" (in SSIM over the first {first} s it is below copying the last frame, {model:.3f} against {copied:.3f})"


def _real_verdict(story: "Story") -> str:
    wins, horizons = real_wins(story)
    if wins == len(horizons):
        return "stays ahead of both floors in PSNR at every horizon, on these few clips"
    if wins:
        return f"beats both floors in PSNR at {wins} of {len(horizons)} horizons"
    return "does not yet beat simply repeating the last frame or its motion"


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

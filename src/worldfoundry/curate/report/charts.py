"""Pictures of numbers: the funnel, histograms with thresholds and their sliders, bars. Plain HTML and SVG, no library."""

from collections.abc import Sequence

import numpy as np

from worldfoundry.curate.decide import Rule
from worldfoundry.curate.report.facts import SetFacts, Step, funnel, is_clip
from worldfoundry.curate.report.text import Number, count, listed, safe, share, time, value
from worldfoundry.curate.report.whatif import Axis

_BINS = 50
_TICKS = 5


def funnel_table(facts: SetFacts) -> str:
    """Where the footage went: each reason takes its share off the right end of what was left."""
    steps = funnel(facts)
    files = [step for step in steps if step.unit == "file"]
    clips = [step for step in steps if step.unit == "clip"]
    # Files without a known length, as stills are, still have a number to be drawn by.
    blocks = [_block(part, timed=any(step.seconds for step in part)) for part in (files, clips)]
    return (
        '<div class="panel"><table class="funnel"><thead><tr><th scope="col">Step</th><th scope="col" class="bar">'
        '<span class="soft">share of the footage of the step above</span></th>'
        '<th scope="col" class="num">Number</th><th scope="col" class="num">Video time</th></tr></thead>'
        f"<tbody>{''.join(blocks)}</tbody></table></div>"
    )


def _block(steps: list[Step], *, timed: bool) -> str:
    def size(step: Step) -> float:
        return step.seconds if timed else float(step.clips)

    whole = size(steps[0])
    left = whole
    lines = []
    for step in steps:
        if step.kind == "loss":
            left -= size(step)
        start = left / whole if step.kind == "loss" and whole else 0.0
        lines.append(_funnel_line(step, max(0.0, start), size(step), whole, timed=timed))
    return "".join(lines)


def _funnel_line(step: Step, start: Number, size: Number, whole: Number, *, timed: bool) -> str:
    colour = {"stock": "stock", "loss": "bad", "kept": "good"}[step.kind]
    sign = "&minus;&thinsp;" if step.kind == "loss" else ""
    rate = (
        ""
        if step.kind == "stock" or (timed and not size)
        else f' <span class="soft">({share(size, whole)})</span>'
    )
    number = f"{sign}{count(step.clips, step.unit)}" if step.clips or step.kind != "loss" else ""
    code = f' <code class="soft">{safe(step.reason)}</code>' if step.reason else ""
    seconds = f"{sign}{time(step.seconds)}" if step.seconds else "&ndash;"
    return (
        f'<tr class="{step.kind}"><th scope="row">{safe(step.label)}{code}</th>'
        f'<td class="bar">{bar([(start, size / whole if whole else 0.0, f"var(--{colour})")])}</td>'
        f'<td class="num clips">{number}</td>'
        f'<td class="num"><span class="narrow">{number}{" · " if number else ""}</span>{seconds}{rate}</td></tr>'
    )


def bar(parts: Sequence[tuple[Number, Number, str]], mark: Number | None = None) -> str:
    """A track with coloured parts (start, width, colour), all 0 to 1, and perhaps a mark."""
    fills = "".join(
        f'<span class="fill" style="left:{100 * start:.2f}%;width:{100 * width:.2f}%;background:{colour}"></span>'
        for start, width, colour in parts
        if width > 0
    )
    line = f'<span class="mark" style="left:{min(99.5, 100 * mark):.2f}%"></span>' if mark is not None else ""
    return f'<span class="track" aria-hidden="true">{fills}{line}</span>'


def histogram(rules: Sequence[tuple[int, Rule]], axis: Axis, scores: Sequence[float]) -> str:
    """How a score is spread over all measured clips; parts that a rule rejects have another colour, which sliders move."""
    low = next((axis.place(r.number) for _, r in rules if r.keeps == "at least"), 0.0)
    high = next((axis.place(r.number) for _, r in rules if r.keeps == "at most"), 1.0)
    places = np.array([axis.place(score) for score in scores])
    bins = np.bincount(np.minimum((places * _BINS).astype(int), _BINS - 1), minlength=_BINS).tolist()
    names = " ".join(f"t{k}" for k, _ in rules)
    bars = _bars(bins)
    layers = [_layer("", "var(--blue)", bars)]
    lines = []
    for _, rule in rules:
        side, css = ("low", "under") if rule.keeps == "at least" else ("high", "over")
        layers.append(_layer(css, "var(--bad)", bars))
        lines.append(f'<i class="{side}"></i>')
    return (
        f'<div class="hist" data-rules="{names}" style="--low:{100 * low:.2f}%;--high:{100 * high:.2f}%" role="img" '
        f'aria-label="{_summary(rules, scores)}"><span class="most">highest bar: {count(max(bins), "clip")}</span>'
        f"{''.join(layers)}{''.join(lines)}{_ticks(axis)}</div>"
    )


def _bars(bins: list[int]) -> str:
    most = max(max(bins), 1)
    rects = []
    for k, number in enumerate(bins):
        if number:
            tall = max(1.5, 96 * number / most)  # even one clip is seen
            rects.append(f"M{20 * k + 2} 100v{-tall:.1f}h16v{tall:.1f}z")
    return "".join(rects)


def _layer(css: str, colour: str, bars: str) -> str:
    name = f' class="{css}"' if css else ""
    base = '<path d="M0 100h1000v1H0z" fill="var(--line)"/>' if not css else ""
    return (
        f'<svg{name} viewBox="0 0 1000 101" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="{bars}" fill="{colour}"/>{base}</svg>'
    )


def _ticks(axis: Axis) -> str:
    places = [k / _TICKS for k in range(_TICKS + 1)]
    if axis.log:
        decades = round(np.log10(axis.high / axis.low))
        places = [k / decades for k in range(decades + 1)]
    ticks = []
    for place in places:
        last = " last" if place == places[-1] else ""
        ticks.append(
            f'<span class="tick{last}" style="left:{100 * place:.2f}%">{value(axis.at(place))}</span>'
        )
    return "".join(ticks)


def _summary(rules: Sequence[tuple[int, Rule]], scores: Sequence[float]) -> str:
    quarters = np.quantile(scores, [0.25, 0.5, 0.75]).tolist()
    limits = [f"{rule.setting} is {value(rule.number)}" for _, rule in rules]
    middle = "a quarter of the clips below {}, half below {}, three quarters below {}".format(
        *map(value, quarters)
    )
    return safe("; ".join([f"Histogram of {len(scores):,} clips", middle, *limits]))


def slider(place: int, rule: Rule, stops: Sequence[Number]) -> str:
    """The control of one rule; it works with the page's script and is hidden without it."""
    side = "at least" if rule.keeps == "at least" else "at most"
    return (
        f'<div class="slide" data-rule="{place}" hidden><input type="range" id="s{place}" min="0" max="1000" step="1" '
        f'aria-describedby="o{place}"><label for="s{place}"><span>Keep {side} <b class="now">{value(rule.number)}</b></span>'
        f'<output id="o{place}" for="s{place}" aria-live="polite"></output></label></div>'
        if stops
        else ""
    )


def shares_table(
    title: str, lines: Sequence[tuple[str, int, int, Number | None]], *, target: bool, note: str
) -> str:
    """Names with how many clips were found and kept, their share of the kept, and perhaps the share that was wanted."""
    kept_all = sum(kept for _, _, kept, _ in lines) or 1
    found_all = max((found for _, found, _, _ in lines), default=1) or 1
    body = []
    for name, found, kept, wanted in lines:
        part = kept / kept_all
        if target:
            picture = bar([(0, part, "var(--good)")], wanted)
        else:
            picture = bar([(0, found / found_all, "var(--stock)"), (0, kept / found_all, "var(--good)")])
        extra = (
            f'<td class="num">{share(kept, kept_all)}</td><td class="num">{_wanted(wanted)}</td>'
            if target
            else ""
        )
        body.append(
            f'<tr><th scope="row">{safe(name)}</th><td>{picture}</td><td class="num">{found:,}</td>'
            f'<td class="num">{kept:,}</td>{extra}</tr>'
        )
    heads = ["", "found", "kept", *(["share", "target"] if target else [])]
    cells = "".join(f'<th scope="col" class="num">{head}</th>' for head in heads)
    return (
        f'<div class="panel scroll"><table><caption><b>{safe(title)}</b> {note}</caption>'
        f'<thead><tr><th scope="col">Name</th>{cells}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
    )


def _wanted(part: Number | None) -> str:
    return "&ndash;" if part is None else share(part, 1.0)


def rule_counts(rule: Rule, facts: SetFacts) -> str:
    """What a rule did, in words, for those who read without the script."""
    rows = [row for row in facts.rows if is_clip(row)]
    missing = sum(row.get(rule.score) is None for row in rows)
    rejected = sum(row.get("reason") == rule.reason and not rule.passes(dict(row)) for row in rows)
    fate = "kept" if rule.missing_passes else "rejected"
    unmeasured = f"{count(missing, 'clip')} not measured, {fate} by this rule" if missing else ""
    return listed([f"{count(rejected, 'clip')} rejected", unmeasured])

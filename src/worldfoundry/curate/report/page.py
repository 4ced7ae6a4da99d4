"""``report.html``: one file that opens from disk without a network, so that thresholds can be judged by eye."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from worldfoundry.curate.decide import Rule
from worldfoundry.curate.report import charts, tables
from worldfoundry.curate.report.cards import Pictures, border, duplicate_groups, gallery_card, tags_of
from worldfoundry.curate.report.facts import Row, SetFacts, is_clip, is_failure, is_kept, total
from worldfoundry.curate.report.script import COPY, WHAT_IF
from worldfoundry.curate.report.style import CSS
from worldfoundry.curate.report.text import Number, count, embedded, safe, share, time, words
from worldfoundry.curate.report.whatif import Axis, axis_of, payload, stops_of

_SAMPLES = 24
_NAMES = 24
# Nothing may be fetched, whatever a name or a caption tries.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def report_page(facts: SetFacts) -> str:
    """The report of a set; equal facts give equal bytes."""
    pictures = Pictures(facts)
    axes = [axis_of(_same_score(rule, facts), _scores(rule, facts)) for rule in facts.rules]
    sections: list[tuple[str, str, str]] = [
        ("funnel", "Funnel", charts.funnel_table(facts)),
        ("rules", "Rules and what if", _rules(facts, axes, pictures)),
        ("mix", "Tags and types", _mix(facts)),
        ("copies", "Copies", duplicate_groups(facts, pictures)),
        ("failures", "Failures", tables.failures(facts) + tables.refused(_refused(facts))),
        ("kept", "Kept clips", _kept(facts, pictures)),
        ("origin", "Provenance", tables.provenance(facts)),
    ]
    sections = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in sections)
    body = "".join(
        f'<section id="{name}"><h2>{title}</h2>{content}</section>' for name, title, content in sections
    )
    scripts = COPY
    if facts.rules and any(map(is_clip, facts.rows)):
        body += (
            _apply()
            + f'<script type="application/json" id="whatif">{embedded(payload(facts, axes))}</script>'
        )
        scripts += WHAT_IF
    return document("Curation report", _head(facts), body, links=links, scripts=scripts)


def document(title: str, head: str, body: str, *, links: str = "", scripts: str = "") -> str:
    """A whole page around ready HTML."""
    menu = f'<nav aria-label="Sections"><div>{links}</div></nav>' if links else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{safe(title)}</title><style>{CSS}</style></head><body><a class="skip" href="#main">Skip to content</a>'
        f'<header>{head}</header>{menu}<main id="main">{body}</main><script>{scripts}</script></body></html>\n'
    )


def _head(facts: SetFacts) -> str:
    clips = [row for row in facts.rows if is_clip(row)]
    kept = [row for row in clips if is_kept(row)]
    broken = sum(map(is_failure, facts.rows))
    files = len({str(row.get("source", "")) for row in facts.rows})
    tiles = [
        (f"{files:,}", "source" if files == 1 else "sources"),
        (time(total(clips)), f"in {count(len(clips), 'clip')} found"),
        (f"{len(kept):,}", f"{'clip' if len(kept) == 1 else 'clips'} kept, {share(len(kept), len(clips))}"),
        (time(total(kept)), f"kept, {share(total(kept), total(clips))} of the clips found"),
        (f"{broken:,}", "failed or quarantined"),
    ]
    cells = "".join(f'<div class="tile"><b>{a}</b><span class="soft">{b}</span></div>' for a, b in tiles)
    origin = f'<p class="soft"><code>{safe(facts.origin)}</code></p>' if facts.origin else ""
    notice = f'<p class="panel">{safe(facts.notice)}</p>' if facts.notice else ""
    return f'<h1>Curation report</h1>{origin}{notice}{_warning(facts, clips, kept)}<div class="tiles">{cells}</div>'


def _warning(facts: SetFacts, clips: list[Row], kept: list[Row]) -> str:
    if kept:
        return ""
    if not facts.rows:
        return '<p class="panel alert"><b>The set is empty.</b> No source was found.</p>'
    reasons = Counter(str(row.get("reason")) for row in (clips or facts.rows) if not is_kept(row))
    first, number = min(reasons.items(), key=lambda item: (-item[1], item[0]))
    unit = "clip" if clips else "source"
    return (
        f'<p class="panel alert"><b>No clip was kept.</b> The most frequent reason is {safe(words(first))}: '
        f"{count(number, unit)}. Move the sliders below to see what other thresholds would keep.</p>"
    )


def _same_score(rule: Rule, facts: SetFacts) -> list[Rule]:
    return [other for other in facts.rules if other.score == rule.score]


def _scores(rule: Rule, facts: SetFacts) -> list[float]:
    held = (row.get(rule.score) for row in facts.rows if is_clip(row))
    return [float(score) for score in held if score is not None and math.isfinite(score)]


def _rules(facts: SetFacts, axes: list[Axis], pictures: Pictures) -> str:
    done: list[str] = []
    parts, silent = [], []
    for k, rule in enumerate(facts.rules):
        if rule.score in done:
            continue
        done.append(rule.score)
        if not _scores(rule, facts):
            silent.append(f"{rule.title} ({rule.setting})")
            continue
        same = [(n, other) for n, other in enumerate(facts.rules) if other.score == rule.score]
        parts.append(_rule(same, axes[k], facts, pictures))
    if silent:
        parts.append(f'<p class="soft">Not measured in any clip: {safe(", ".join(silent))}.</p>')
    if not done:
        return ""
    intro = (
        '<p class="soft">Each score over all clips that were measured; what a rule rejects is drawn in red. Move a threshold '
        "to see how many clips would pass the rules; copies and the mix are decided after them, by "
        "<code>worldfoundry curate report OUT --set motion.min=0.01</code>, in seconds and without touching a picture.</p>"
    )
    return intro + "".join(parts)


def _rule(same: list[tuple[int, Rule]], axis: Axis, facts: SetFacts, pictures: Pictures) -> str:
    scores = _scores(same[0][1], facts)
    settings = ", ".join(rule.setting for _, rule in same)
    title = same[0][1].title or words(same[0][1].score).capitalize()
    head = (
        f'<div class="head"><h3>{safe(title)} <code class="soft">{safe(settings)}</code></h3>'
        f'<span class="soft">{safe("; ".join(charts.rule_counts(rule, facts) for _, rule in same))}</span></div>'
    )
    controls = "".join(charts.slider(k, rule, stops_of(rule, axis)) for k, rule in same)
    borders = []
    for _, rule in same:
        pair = border(rule, facts, pictures)
        name = f" ({safe(words(rule.reason))})" if len(same) > 1 else ""
        if pair:
            borders.append(f"<details open><summary>Clips at the border{name}</summary>{pair}</details>")
    return f'<div class="panel rule">{head}{charts.histogram(same, axis, scores)}{controls}{"".join(borders)}</div>'


def _apply() -> str:
    return (
        '<div class="apply" hidden><div><b class="sum" role="status"></b><code></code>'
        '<button class="copy" type="button" hidden>Copy</button><button class="reset" type="button">Reset</button></div></div>'
    )


def _mix(facts: SetFacts) -> str:
    clips = [row for row in facts.rows if is_clip(row)]
    kinds = _shares(clips, lambda row: tags_of(row, "type"), facts.target)
    tags = _shares(clips, lambda row: tags_of(row, "camera_motion"), {})
    parts = []
    if kinds:
        note = "share of the kept clips; the line marks the target" if facts.target else ""
        parts.append(charts.shares_table("Video type", kinds, target=True, note=note))
    if tags:
        note = "green: kept, of all found; a clip may have several"
        parts.append(charts.shares_table("Camera motion", tags, target=False, note=note))
    return "".join(parts)


def _shares(
    clips: list[Row], words_of: Callable[[Row], Iterable[str]], target: Mapping[str, Number]
) -> list[tuple[str, int, int, Number | None]]:
    found = Counter(word for row in clips for word in words_of(row))
    kept = Counter(word for row in clips if is_kept(row) for word in words_of(row))
    names = sorted({*found, *target}, key=lambda name: (-found[name], name))
    lines = [(name, found[name], kept[name], target.get(name)) for name in names[:_NAMES]]
    rest = names[_NAMES:]
    if rest:
        more = f"{len(rest):,} more"
        lines.append((more, sum(found[n] for n in rest), sum(kept[n] for n in rest), None))
    return lines


def _refused(facts: SetFacts) -> list[Row]:
    return [row for row in facts.rows if not is_clip(row) and not is_failure(row)]


def _kept(facts: SetFacts, pictures: Pictures) -> str:
    kept = [row for row in facts.rows if is_clip(row) and is_kept(row)]
    if not kept:
        return ""
    step = max(1.0, len(kept) / _SAMPLES)
    shown = [kept[int(k * step)] for k in range(min(_SAMPLES, len(kept)))]
    names = list(dict.fromkeys(rule.score for rule in facts.rules))
    cards = "".join(gallery_card(row, pictures, {name: row.get(name) for name in names[:4]}) for row in shown)
    more = f"{len(shown)} of {len(kept):,}, evenly spread over the set; " if len(kept) > len(shown) else ""
    return (
        f'<p class="soft">{more}a click on the pictures plays the clip.</p><div class="cards">{cards}</div>'
    )

"""Clips as pictures with a few words: at the border of a rule, beside their copies, in a gallery."""

import base64
import math
from collections.abc import Mapping, Sequence
from json import dumps
from urllib.parse import quote

from worldfoundry.curate.decide import Rule
from worldfoundry.curate.report.facts import Row, SetFacts, is_clip, is_kept, length
from worldfoundry.curate.report.text import Number, count, listed, moment, safe, time, value, words

MOST_BYTES = 8 * 2**20
"""Pictures in one page, together; what comes after is named without a picture."""
_BORDER = 4
_GROUPS = 24
_COPIES = 6


class Pictures:
    """Pictures as data of the page, as long as there is room."""

    def __init__(self, facts: SetFacts, most_bytes: int = MOST_BYTES):
        self._facts = facts
        self._room = most_bytes

    def of(self, row: Row) -> str:
        """The image elements of a clip, or what stands in their place."""
        found = self._facts.pictures(row) if self._room > 0 and is_clip(row) else ()
        if not found:
            return '<span class="none">no picture</span>'
        self._room -= sum(len(jpeg) for _, jpeg in found)
        return "".join(
            f'<img loading="lazy" alt="at {moment(seconds)}" src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
            for seconds, jpeg in found
        )


def card(row: Row, pictures: Pictures, lines: Sequence[str], *, css: str = "", data: str = "") -> str:
    """A clip: its pictures, linked to the file if there is one, its source and span, and lines of ready HTML."""
    shown = f'<span class="shot">{pictures.of(row)}</span>'
    path = str(row.get("path") or "")
    if is_kept(row) and path and "://" not in path and not path.startswith("/"):
        shown = f'<a class="shot" title="Play the clip" href="{quote(path, errors="replace")}">{pictures.of(row)}</a>'
    name = safe(row.get("source", ""))
    body = "".join(f"<span>{line}</span>" for line in lines if line)
    return (
        f'<article class="card {css}"{data}>{shown}<div><span class="name" title="{name}">{name}</span>'
        f'<span class="soft">{_span(row)}</span>{body}</div></article>'
    )


def _span(row: Row) -> str:
    start, end = row.get("start_s"), row.get("end_s")
    if start is None or end is None:
        return "whole file"
    size = f"{row.get('width')}&times;{row.get('height')}" if row.get("width") else ""
    return listed([f"{moment(start)} to {moment(end)}", size])


def chip(text: str, tone: str = "") -> str:
    """A short word in a coloured field."""
    return f'<span class="chip {tone}">{safe(text)}</span>'


def tags_of(row: Row, column: str) -> list[str]:
    """The words of a column that holds a list, or one string with commas."""
    held = row.get(column)
    if held is None:
        return []
    parts = held.split(",") if isinstance(held, str) else list(held)
    return [text for part in parts if (text := str(part).strip())]


def border(rule: Rule, facts: SetFacts, pictures: Pictures) -> str:
    """The clips nearest to a rule's number: what it just kept beside what it just rejected."""
    measured = [row for row in facts.rows if is_clip(row) and _finite(row.get(rule.score))]
    kept = [row for row in measured if is_kept(row)]
    rejected = [row for row in measured if row.get("reason") == rule.reason and not rule.passes(dict(row))]

    def gap(row: Row) -> tuple[float, str]:
        score = float(row[rule.score])
        near = (
            abs(math.log(max(score, 1e-9) / max(rule.number, 1e-9)))
            if rule.scale == "log"
            else abs(score - rule.number)
        )
        return near, str(row["clip_id"])

    sides = []
    for title, rows, tone in (("Just kept", kept, "good"), ("Just rejected", rejected, "bad")):
        near = sorted(rows, key=gap)[:_BORDER]
        cards = "".join(
            card(row, pictures, [chip(f"{rule.score} {value(row[rule.score])}", tone)]) for row in near
        )
        more = f", {len(rows) - len(near):,} more" if len(rows) > len(near) else ""
        said = f'<span class="soft">{count(len(near), "clip")} nearest to {value(rule.number)}{more}</span>'
        empty = '<p class="soft">None.</p>' if not near else f'<div class="cards">{cards}</div>'
        sides.append(f"<div><h4>{title} {said if near else ''}</h4>{empty}</div>")
    return f'<div class="pair">{"".join(sides)}</div>' if kept or rejected else ""


def _finite(score: object) -> bool:
    return isinstance(score, int | float) and math.isfinite(score)


def duplicate_groups(facts: SetFacts, pictures: Pictures) -> str:
    """Each kept clip beside the copies that were dropped for it, and why it was the one to keep."""
    by_id = {str(row["clip_id"]): row for row in facts.rows if is_clip(row)}
    groups: dict[str, list[Row]] = {}
    for row in facts.rows:
        if is_clip(row) and row.get("duplicate_of"):
            groups.setdefault(str(row["duplicate_of"]), []).append(row)
    if not groups:
        return '<p class="soft">No clip was dropped as a copy of another.</p>'
    order = sorted(groups, key=lambda name: (-len(groups[name]), name))
    shown = "".join(_group(by_id.get(name), name, groups[name], pictures) for name in order[:_GROUPS])
    copies = sum(map(len, groups.values()))
    more = f" The {_GROUPS} largest are shown, {len(order) - _GROUPS:,} more." if len(order) > _GROUPS else ""
    head = f"{count(copies, 'copy', 'copies')} of {count(len(order), 'clip')}.{more}"
    return f'<p class="soft">{head}</p><div class="panel">{shown}</div>'


def _group(winner: Row | None, name: str, copies: list[Row], pictures: Pictures) -> str:
    ranked = sorted(copies, key=lambda row: (-(row.get("similarity") or 0.0), str(row["clip_id"])))
    cards = []
    for row in ranked[:_COPIES]:
        like = row.get("similarity")
        lines = [chip(f"similarity {value(like)}", "bad") if like is not None else "", _why(winner, row)]
        cards.append(card(row, pictures, lines))
    more = len(ranked) - _COPIES
    rest = f'<p class="soft">{more:,} more</p>' if more > 0 else ""
    if winner is None:
        kept = f'<p class="soft">Copies of <code>{safe(name)}</code></p>'
    else:
        kept = card(winner, pictures, [chip("kept", "good")], css="winner")
    beside = f'<div class="cards" style="margin:0">{"".join(cards)}</div>{rest}'
    return f'<div class="group"><div>{kept}</div><div>{beside}</div></div>'


def _why(winner: Row | None, copy: Row) -> str:
    """What made the difference: the first of size, quality and length in which the two differ."""
    if winner is None:
        return ""
    sizes = [(row.get("width") or 0) * (row.get("height") or 0) for row in (winner, copy)]
    if sizes[0] > sizes[1]:
        small, large = (f"{row.get('width')}&times;{row.get('height')}" for row in (copy, winner))
        return f"smaller: {small} against {large}"
    marks = [row.get("quality") for row in (winner, copy)]
    if marks[0] is not None and marks[1] is not None and marks[0] > marks[1]:
        return f"lower quality: {value(marks[1])} against {value(marks[0])}"
    if length(winner) > length(copy):
        return f"shorter: {time(length(copy))} against {time(length(winner))}"
    return "equal; the first by its id is kept"


def gallery_card(row: Row, pictures: Pictures, scores: Mapping[str, Number | None]) -> str:
    """A clip as the gallery shows it: caption, tags and type, with what it can be found and sorted by."""
    tags, kinds = tags_of(row, "camera_motion"), tags_of(row, "type")
    tone = "good" if is_kept(row) else "bad"
    state = "" if is_kept(row) else words(str(row.get("reason") or row.get("decision") or ""))
    chips = [*(chip(kind) for kind in kinds), *(chip(tag) for tag in tags)]
    if state:
        chips.append(chip(state, tone))
    numbers = listed(
        f"{safe(words(name))} {value(score)}" for name, score in scores.items() if score is not None
    )
    caption = str(row.get("caption") or "")
    lines = [
        f'<span class="caption">{safe(caption)}</span>' if caption else "",
        " ".join(chips),
        f'<span class="soft">{numbers}</span>' if numbers else "",
    ]
    return card(row, pictures, lines, data=_found_by(row, kinds, tags, caption, scores))


def _found_by(
    row: Row, kinds: list[str], tags: list[str], caption: str, scores: Mapping[str, Number | None]
) -> str:
    text = " ".join([str(row.get("source", "")), caption, *tags, *kinds]).lower()
    sort = {name: score for name, score in scores.items() if score is not None and math.isfinite(score)}
    decision = [str(row.get("decision") or "")]
    return (
        f' data-find="{safe(text)}" data-type="{safe(dumps(kinds))}" data-camera="{safe(dumps(tags))}" '
        f'data-decision="{safe(dumps(decision))}" data-scores="{safe(dumps(sort))}"'
    )

"""A page of clips to look through: words to find, types and tags to pick, scores to sort by."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from worldfoundry.curate.report.cards import MOST_BYTES, Pictures, gallery_card, tags_of
from worldfoundry.curate.report.facts import Picture, Row, SetFacts, is_clip
from worldfoundry.curate.report.page import document
from worldfoundry.curate.report.script import GALLERY
from worldfoundry.curate.report.text import count, safe, words

MOST_CARDS = 600
"""Clips on one page; the rest is counted."""
_PICKS = (
    ("type", "type", "Type"),
    ("camera", "camera_motion", "Camera"),
    ("decision", "decision", "Decision"),
)
_MOST_CHOICES = 60


def browse_page(
    rows: Sequence[Row],
    pictures: Callable[[Row], Sequence[Picture] | bytes | None],
    *,
    title: str = "Clips",
    intro: str = "",
    scores: Sequence[str] = (),
    most: int = MOST_CARDS,
) -> str:
    """A gallery of the clips among ``rows``, in their order: the best first for results of a search.

    ``scores`` are columns to show and to sort by; a column ``similarity`` set by a search belongs among them. ``pictures``
    gives moments of a clip, as ``loading.pictures_of`` does, or one JPEG. All texts are taken as text, never as HTML.
    """
    clips = [row for row in rows if is_clip(row)]
    shown = clips[:most]

    def moments(row: Row) -> Sequence[Picture]:
        found = pictures(row)
        return [(float(row.get("start_s") or 0.0), found)] if isinstance(found, bytes) else found or ()

    held = Pictures(SetFacts(rows=shown, pictures=moments), 2 * MOST_BYTES)
    cards = "".join(gallery_card(row, held, {name: row.get(name) for name in scores}) for row in shown)
    more = (
        f" The first {len(shown):,} are here, {len(clips) - len(shown):,} more." if len(clips) > most else ""
    )
    lead = f"<p>{safe(intro)}</p>" if intro else ""
    head = f'<h1>{safe(title)}</h1>{lead}<p class="soft">{count(len(clips), "clip")}.{more}</p>'
    empty = "" if shown else '<p class="panel">No clip fits.</p>'
    body = f'{_tools(shown, scores)}{empty}<div class="cards" id="gallery">{cards}</div>'
    return document(title, head, body, scripts=GALLERY if shown else "")


def _tools(rows: Sequence[Row], scores: Sequence[str]) -> str:
    picks = "".join(
        _pick(name, label, Counter(w for r in rows for w in set(tags_of(r, column))))
        for name, column, label in _PICKS
    )
    order = "".join(
        f'<option value="{safe(name)}:{way}">{safe(words(name).capitalize())}, {said} first</option>'
        for name in scores
        for way, said in (("down", "highest"), ("up", "lowest"))
    )
    return (
        '<div class="tools" role="search" hidden><input type="search" id="find" '
        'aria-label="Words in caption, tags, type or source" '
        'placeholder="Words in caption, tags, type or source; -word leaves out">'
        f'{picks}<select id="sort" aria-label="Order"><option value=":">As found</option>{order}</select>'
        '<span class="soft" id="said" role="status"></span></div>'
    )


def _pick(name: str, label: str, found: Mapping[str, int]) -> str:
    if not found:
        return ""
    names = sorted(found, key=lambda word: (-found[word], word))[:_MOST_CHOICES]
    options = "".join(f'<option value="{safe(w)}">{safe(w)} ({found[w]:,})</option>' for w in names)
    return f'<select class="pick" name="{name}" aria-label="{label}"><option value="">{label}: any</option>{options}</select>'

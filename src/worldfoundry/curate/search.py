"""Search of a finished set: by an example clip, by the id of a clip, or by words.

Without a model: an example is described as sources are and compared with every kept clip, copies first, then what looks
alike; words are matched with captions, types, camera tags and source names by BM25. Where the set has embeddings, a clip id
is looked up among them, and with the model at hand an example file and free text are embedded too.

Source: BM25 as in Robertson and Zaragoza (2009), with its usual constants.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.curate import enrich
from worldfoundry.curate.dedup import unit_rows
from worldfoundry.curate.detect import thumbnails
from worldfoundry.curate.detect.alignment import compare
from worldfoundry.curate.detect.descriptor import Descriptor, DescriptorDetector, score
from worldfoundry.curate.index import CuratedSet, load_set, read_embeddings
from worldfoundry.curate.plugins import ENRICHERS
from worldfoundry.curate.records import Analysis, Row
from worldfoundry.curate.report.browse import browse_page
from worldfoundry.curate.store import Store
from worldfoundry.data.views import Views
from worldfoundry.protocols.curation import SourceInfo, Span

_K1, _B = 1.2, 0.75
_TEXTS = (("caption", 1), ("type", 3), ("camera_motion", 3), ("source", 1))
"""Columns that words are matched with, and how often their words count."""
_ALIKE = 0.5
_COMPARED = 32


def search(store: Store, query: str, *, top: int = 20) -> list[dict[str, Any]]:
    """The kept clips that fit best, best first: their rows with ``score`` (larger is better) and ``how`` they were found.

    ``query`` is the id of a clip, the path of a video or image, or words.
    """
    if not query.strip():
        raise ConfigError(f"query must not be empty, got {query!r}; give words, a clip id or a file")
    if top < 1:
        raise ConfigError(f"top must be at least 1, got {top}; raise it")
    curated = load_set(store)
    rows = [row for row in curated.rows if row["decision"] == "kept"]
    asked = [row for row in curated.rows if row["clip_id"] == query]
    if asked:
        hits = _by_clip(curated, asked[0], [row for row in rows if row["clip_id"] != query])
    elif _is_file(query):
        hits = _by_file(curated, Path(query), rows)
    else:
        hits = _by_words(curated, query, rows)
    hits.sort(key=lambda hit: (-hit["score"], hit["clip_id"]))
    return hits[:top]


def search_page(store: Store, query: str, hits: Sequence[Row]) -> str:
    """A self-contained page of results with pictures, in their order."""
    curated = load_set(store)
    held: dict[str, Analysis] = {}

    def strip(row: Mapping[str, Any]) -> bytes | None:
        if row["source_id"] not in held:
            held.clear()
            held[row["source_id"]] = curated.analysis(row["source_id"])
        timeline = held[row["source_id"]].timelines.get("thumbnails")
        pictures = thumbnails.pictures(timeline, row["start_s"], row["end_s"]) if timeline else []
        return pictures[len(pictures) // 2][1] if pictures else None

    rows = [{**hit, "similarity": hit["score"]} for hit in hits]
    intro = f"Found for {query!r}, the best first."
    return browse_page(rows, strip, title="Search", intro=intro, scores=("similarity",))


def _is_file(query: str) -> bool:
    looks = "/" in query or "\\" in query or bool(re.search(r"\.\w{2,4}$", query))
    if Path(query).is_file():
        return True
    if looks and " " not in query.strip():
        raise DataError(
            f"query {query!r} looks like a file and there is none; check the path, or ask in words"
        )
    return False


def _hit(row: Row, value: float, how: str) -> dict[str, Any]:
    return {**row, "score": round(value, 4), "how": how}


# By example


def _by_clip(curated: CuratedSet, asked: Row, rows: Sequence[Row]) -> list[dict[str, Any]]:
    known = read_embeddings(curated.store)
    if asked["clip_id"] in known:
        return _by_vector(known[asked["clip_id"]], known, rows)
    example = _described(curated.analysis(asked["source_id"]), asked)
    return _by_look(curated, example, rows)


def _by_file(curated: CuratedSet, path: Path, rows: Sequence[Row]) -> list[dict[str, Any]]:
    known = read_embeddings(curated.store)
    model = _embedder(curated) if known else None
    if model is not None:
        last = max(view.seconds for view in Views(path))
        frames, seconds = enrich.frames_of(
            path, Span(start_s=0.0, end_s=last + 0.01), model.num_frames, model.max_side_px
        )
        return _by_vector(np.asarray(model(frames, seconds)["embedding"]), known, rows)
    return _by_look(curated, describe_file(path), rows)


def describe_file(path: Path) -> Descriptor:
    """The descriptor of a whole video or image."""
    info = SourceInfo(source=path.name, source_id="", width=1, height=1, fps=1.0, duration_s=0.0)
    meter = DescriptorDetector().begin(info)
    for view in Views(path):
        meter.observe(view)
    timeline = meter.finish()
    return score(timeline, float(timeline["first_s"].min(initial=0.0)), math.inf)


def _described(analysis: Analysis, row: Row) -> Descriptor:
    return score(analysis.timelines["descriptor"], row["start_s"], row["end_s"])


def _by_look(curated: CuratedSet, example: Descriptor, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Copies by their similarity, and what looks alike at half the cosine, so that it always comes after them."""
    found = []
    for row, other in _descriptors(curated, rows):
        cosine = max(
            float((example.vectors[0] @ other.vectors.T).max()),
            float((other.vectors[0] @ example.vectors.T).max()),
        )
        found.append((cosine, row["clip_id"], row, other))
    found.sort(key=lambda f: (-f[0], f[1]))
    hits = []
    for place, (cosine, _, row, other) in enumerate(found):
        likely = place < _COMPARED and cosine >= _ALIKE
        similarity = compare(other, example).similarity if likely else -1.0
        is_copy = similarity >= curated.config.dedup.min_similarity
        hits.append(
            _hit(row, similarity if is_copy else _ALIKE * cosine, "copy" if is_copy else "looks alike")
        )
    return hits


def _descriptors(curated: CuratedSet, rows: Sequence[Row]) -> Iterator[tuple[Row, Descriptor]]:
    """Rows with their descriptors, the analysis of each source read once."""
    by_source: dict[str, list[Row]] = {}
    for row in rows:
        by_source.setdefault(row["source_id"], []).append(row)
    for source_id, members in by_source.items():
        analysis = curated.analysis(source_id)
        for row in members:
            yield row, _described(analysis, row)


def _by_vector(
    vector: np.ndarray, known: Mapping[str, np.ndarray], rows: Sequence[Row]
) -> list[dict[str, Any]]:
    rows = [row for row in rows if row["clip_id"] in known]
    if not rows:
        return []
    cosines = unit_rows([known[row["clip_id"]] for row in rows]) @ unit_rows([vector])[0]
    return [_hit(row, float(cosine), "embedding") for row, cosine in zip(rows, cosines, strict=True)]


def _embedder(curated: CuratedSet) -> Any:
    """The set's embedder, or None where its weights are not on this machine."""
    settings = curated.config.embed
    if settings.model == "none" or not Path(settings.weights).exists():
        return None
    return ENRICHERS.get(settings.model)(settings.weights)


# By words


def _by_words(curated: CuratedSet, query: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    known = read_embeddings(curated.store)
    embed_text: Callable[[str], np.ndarray] | None = None
    if known:
        embed_text = getattr(_embedder(curated), "embed_text", None)
    if embed_text is not None:
        return _by_vector(np.asarray(embed_text(query)), known, rows)
    scored = zip(rows, bm25(query, rows), strict=True)
    hits = [_hit(row, value, "words") for row, value in scored if value > 0]
    settings = curated.config.embed
    if not hits and settings.model != "none":
        # Words alone found nothing, and with the model the set was made for they might have: say so, not "nothing".
        raise DataError(
            f"no caption, type, camera tag or name of the set has a word of {query!r}, and its meaning needs model "
            f"{settings.model!r} at {settings.weights!r}, which is not there or takes no text; put it there, or use other words"
        )
    return hits


def bm25(query: str, rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """How well the texts of each row fit the words of a query; 0 where none occurs."""
    documents = [_words_of(row) for row in rows]
    lengths = [sum(d.values()) for d in documents]
    mean = sum(lengths) / max(1, len(lengths)) or 1.0
    scores = [0.0] * len(rows)
    for word in dict.fromkeys(tokens(query)):
        holding = sum(word in d for d in documents)
        rarity = math.log(1 + (len(rows) - holding + 0.5) / (holding + 0.5))
        for k, document in enumerate(documents):
            if word in document:
                often = document[word]
                scores[k] += rarity * often * (_K1 + 1) / (often + _K1 * (1 - _B + _B * lengths[k] / mean))
    return scores


def _words_of(row: Mapping[str, Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for column, weight in _TEXTS:
        for token in tokens(str(row.get(column) or "")):
            found[token] += weight
    return found


def tokens(text: str) -> list[str]:
    """Words in lower case without the commonest endings.

    >>> tokens("Panning left; two cars")
    ['pan', 'left', 'two', 'car']
    """
    return [_stem(word) for word in re.findall(r"[^\W_]+", text.lower())]


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)]
            return word[:-1] if ending != "s" and word[-1] == word[-2] and word[-1] not in "aeioul" else word
    return word

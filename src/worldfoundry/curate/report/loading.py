"""What the report shows, read from a finished set; nothing is measured again."""

import functools
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from worldfoundry.curate.config import CurateConfig, settings_of
from worldfoundry.curate.decide import rules
from worldfoundry.curate.detect import thumbnails
from worldfoundry.curate.index import CuratedSet, flags_of
from worldfoundry.curate.records import source_path
from worldfoundry.curate.report.facts import Picture, Row, SetFacts
from worldfoundry.curate.report.text import quoted

_MOMENTS = (0.1, 0.5, 0.9)
_MOST_HELD = 64
_PACKAGES = ("worldfoundry", "av", "opencv-python-headless", "numpy", "pyarrow")


def facts_of(
    loaded: CuratedSet,
    config: CurateConfig | None = None,
) -> SetFacts:
    """The facts of a set as it was decided, or as other settings would decide it from the stored scores."""
    used = config or loaded.config
    rows = loaded.rows if config is None else loaded.decided(config)
    notice = "" if config is None else _notice(loaded, rows, config)
    manifest = loaded.manifest
    detectors = {name: f"version {number}" for name, number in map(_split, manifest.get("detectors", ()))}
    return SetFacts(
        rows=rows,
        rules=rules(used),
        blocked=lambda row: row.get("type") in used.type.drop,
        pictures=pictures_of(loaded),
        reproduce=lambda row: loaded.reproduce(dict(row)),
        origin=", ".join(map(str, manifest.get("inputs", ()))),
        notice=notice,
        durations=_durations(loaded),
        target=used.type.target,
        settings=settings_of(used),
        versions={**_versions(), **detectors},
        fingerprints=manifest.get("fingerprints", {}),
    )


def _split(key: str) -> tuple[str, str]:
    name, _, number = key.partition("@")
    return name, number


def pictures_of(loaded: CuratedSet) -> Callable[[Row], Sequence[Picture]]:
    """A function that gives three moments of a clip from the stored thumbnails."""

    @functools.lru_cache(maxsize=_MOST_HELD)
    def timeline(source_id: str) -> dict[str, np.ndarray] | None:
        return _part(loaded, source_id, "thumbnails/")

    def pictures(row: Row) -> Sequence[Picture]:
        held = timeline(str(row.get("source_id") or ""))
        if not held or not len(held["seconds"]):
            return ()
        found = thumbnails.pictures(held, float(row["start_s"]), float(row["end_s"]))
        places = dict.fromkeys(round((len(found) - 1) * share) for share in _MOMENTS)
        return [found[k] for k in places]

    return pictures


def _durations(loaded: CuratedSet) -> dict[str, float]:
    lengths: dict[str, float] = {}
    for row in loaded.rows:
        name, source_id = row["source"], row.get("source_id")
        if source_id and name not in lengths:
            part = _part(loaded, source_id, "meta")
            if part:
                info = json.loads(part["meta"].tobytes())["info"]
                lengths[name] = 0.0 if info["is_still"] else float(info["duration_s"])
    return lengths


def _part(loaded: CuratedSet, source_id: str, prefix: str) -> dict[str, np.ndarray] | None:
    """Some arrays of a stored analysis, None if there is none: a page needs a small part of each of many."""
    name = source_path("analysis", source_id, f"-{loaded.manifest['fingerprints']['analysis']}.npz")
    try:
        with np.load(io.BytesIO(loaded.store.read_bytes(name))) as file:
            return {
                key.removeprefix(prefix) or key: file[key] for key in file.files if key.startswith(prefix)
            }
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None  # a page without a picture is better than no page


def _notice(loaded: CuratedSet, rows: Sequence[Row], config: CurateConfig) -> str:
    before, after = settings_of(loaded.config), settings_of(config)
    changed = [name for name in after if after[name] != before.get(name)]
    kept = sum(row["decision"] == "kept" for row in rows)
    had = sum(row["decision"] == "kept" for row in loaded.rows)
    words = (
        ", ".join(f"{name} {before.get(name)} \u2192 {after[name]}" for name in changed)
        or "no setting changed"
    )
    flags = " ".join(flags_of(config, loaded.config))
    inputs = " ".join(quoted(str(name)) for name in loaded.manifest.get("inputs", ()))
    return (
        f"Decided again from stored scores: {words}. {kept:,} clips would be kept; the set holds {had:,}. Its clips and "
        f"index are unchanged; to make them so: worldfoundry curate run {inputs} --out OUT {flags}"
    )


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

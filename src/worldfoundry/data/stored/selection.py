"""What is written of the clips of a data set: all of them, less what is left out by name."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from worldfoundry.core.config import to_json
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.actions import ACTIONS
from worldfoundry.data.stored.clip import MAIN, StoredClip, StoredDataset
from worldfoundry.protocols.control import ControlSpec, check_match

_OF_CAMERA = frozenset(("intrinsics_px", "world_from_camera", "depth_m", "segmentation"))
"""Arrays of one view: of the first by this name, of another behind the view's."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A data set without some arrays, views, ``facts``, ``controls``, ``caption`` or ``extras``."""

    dataset: StoredDataset
    """Where clips come from."""
    drop: tuple[str, ...] = ()
    """Names of what is left out; one that no clip has is a ``ConfigError``."""

    def __post_init__(self):
        dataset = self.dataset
        known = {"facts", "controls", "caption", "extras", *(v for c in dataset.clips for v in c.views)}
        for index in range(len(dataset.clips)):
            if known.issuperset(self.drop):
                return
            known |= set(dataset.read_arrays(index)) | set(dataset.read_extras(index))
        for name in self.drop:
            if name not in known:
                raise ConfigError(
                    f"--drop must name what the clips have ({', '.join(sorted(known))}), got {name!r}; correct it"
                )

    def views(self, clip: StoredClip) -> list[str]:
        """Views that are kept, one or more."""
        kept = [view for view in clip.views if view not in self.drop]
        if not kept:
            raise ConfigError(
                f"--drop must leave a view of {clip.name}, got {', '.join(self.drop)}; keep one"
            )
        return kept

    def arrays(self, index: int) -> dict[str, np.ndarray]:
        """Numbers per frame that are kept; those of a view that is left out go with it."""
        return self._kept(self.dataset.read_arrays(index), index)

    def extras(self, index: int) -> dict[str, np.ndarray]:
        """Other arrays that are kept."""
        return {} if "extras" in self.drop else self._kept(self.dataset.read_extras(index), index)

    def _kept(self, found: dict[str, np.ndarray], index: int) -> dict[str, np.ndarray]:
        """Of the views that are kept; the cameras' arrays of the first of them carry no name of a view before theirs."""
        clip = self.dataset.clips[index]
        main = self.views(clip)[0]
        gone = tuple(f"{view}." for view in clip.views if view in self.drop)
        kept = {n: v for n, v in found.items() if n not in self.drop and not n.startswith(gone)}
        if main == clip.views[0]:
            return kept
        kept = {n: v for n, v in kept.items() if n not in _OF_CAMERA}
        return {n.removeprefix(f"{main}."): v for n, v in kept.items()}

    def facts(self, clip: StoredClip) -> dict[str, Any]:
        """Facts, source and caption that are kept."""
        facts = ({} if "facts" in self.drop else clip.facts) | {"source": clip.source}
        return facts | ({"caption": clip.caption} if clip.caption and "caption" not in self.drop else {})

    def document(self, clip: StoredClip) -> dict[str, Any]:
        """Everything in words and numbers, as one JSON object."""
        entry, views = clip.entry, self.views(clip)
        document = self.facts(clip) | {
            "num_frames": entry.num_frames,
            "height": entry.height,
            "width": entry.width,
            "fps": entry.fps,
        }
        if (controls := self.controls(clip)) is not None:
            document["controls"] = to_json(controls)
        if views != [MAIN] or "views" in document:
            document["views"] = views
        return document

    def controls(self, clip: StoredClip) -> ControlSpec | None:
        """What the kept part of a clip means: neither actions nor cameras that were left out."""
        spec = clip.controls
        if spec is None or "controls" in self.drop:
            return None
        kept = replace(
            spec,
            actions=None if set(ACTIONS) & set(self.drop) else spec.actions,
            cameras=tuple(c for c in spec.cameras if c.name not in self.drop),
            trajectory=None if {"trajectory", "extras"} & set(self.drop) else spec.trajectory,
        )
        return None if kept == ControlSpec() else kept

    def common_controls(self) -> ControlSpec | None:
        """The controls that all clips share, without the cameras where they differ; a ``ConfigError`` shows two that do not."""
        clips = self.dataset.clips
        found = [self.controls(clip) for clip in clips]
        if all(c == found[0] for c in found):
            return found[0]
        bare = [None if c is None else replace(c, cameras=()) for c in found]
        for clip, spec in zip(clips, bare, strict=True):
            check_match(
                bare[0],
                spec,
                where=f"{self.dataset.path}, to be stored with one meaning (or leave it out with --drop controls)",
                our_name=clips[0].name,
                their_name=clip.name,
            )
        return bare[0]

    def uneven(self) -> list[str]:
        """Kept arrays that not all clips have with one type and one shape of a row."""
        kinds: dict[str, set[tuple[Any, ...]]] = {}
        counts: Counter[str] = Counter()
        for index in range(len(self.dataset.clips)):
            for name, values in self.arrays(index).items():
                kinds.setdefault(name, set()).add((values.dtype, values.shape[1:]))
                counts[name] += 1
        return sorted(
            n for n, found in kinds.items() if len(found) > 1 or counts[n] < len(self.dataset.clips)
        )

    def check_even(self) -> None:
        """Refuse arrays that a clip set cannot hold, all at once, with the options that leave them out."""
        uneven = self.uneven()
        if uneven:
            raise DataError(
                f"a clip set holds arrays of one type and shape in all clips, {self.dataset.path} has others in "
                f"{', '.join(map(self._both_sides, uneven))}; leave them out with {dropping(uneven)}"
            )

    def _both_sides(self, name: str) -> str:
        """Two clips in which an array is not the same."""
        seen: dict[str, str] = {}
        for index, clip in enumerate(self.dataset.clips):
            values = self.arrays(index).get(name)
            kind = "none" if values is None else f"{values.dtype} {['t', *values.shape[1:]]}".replace("'", "")
            seen.setdefault(kind, clip.name)
        (a, first), (b, second), *_ = seen.items()
        return f"{name} ({a} in {first}, {b} in {second})"

    def file_names(self, *, separator: str) -> list[str]:
        """Names of the clips to write files by: inside the folder, without a dot, and no two alike."""
        found = [
            separator.join(part.replace(".", "-") for part in clip.name.split("/") if part)
            for clip in self.dataset.clips
        ]
        twice = [name for name, n in Counter(found).items() if n > 1]
        if twice:
            raise DataError(
                f"{self.dataset.path}: clips must have names that differ, also without dots, got {twice[0]!r} twice; rename one"
            )
        return found


def dropping(names: Iterable[str]) -> str:
    """Options that leave out ``names``."""
    return " ".join(f"--drop {name}" for name in names)

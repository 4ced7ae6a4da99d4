"""What is written of the clips of a data set: all of them, less what is left out by name."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from worldfoundry.core.config import to_json
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.stored.clip import MAIN, StoredClip, StoredDataset
from worldfoundry.protocols.control import ControlSpec


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
        gone = tuple(f"{view}." for view in self.dataset.clips[index].views if view in self.drop)
        return {n: values for n, values in found.items() if n not in self.drop and not n.startswith(gone)}

    def document(self, clip: StoredClip) -> dict[str, Any]:
        """Everything in words and numbers, as one JSON object."""
        entry, views = clip.entry, self.views(clip)
        document: dict[str, Any] = {} if "facts" in self.drop else dict(clip.facts)
        document |= {
            "source": clip.source,
            "num_frames": entry.num_frames,
            "height": entry.height,
            "width": entry.width,
            "fps": entry.fps,
        }
        if clip.caption and "caption" not in self.drop:
            document["caption"] = clip.caption
        if clip.controls is not None and "controls" not in self.drop:
            document["controls"] = to_json(clip.controls)
        if views != [MAIN] or "views" in document:
            document["views"] = views
        return document

    def common_controls(self) -> ControlSpec | None:
        """The controls that all clips share, the cameras of one clip apart where they differ from clip to clip."""
        if "controls" in self.drop:
            return None
        found = [clip.controls for clip in self.dataset.clips]
        if all(c == found[0] for c in found):
            return found[0]
        bare = [None if c is None else replace(c, cameras=()) for c in found]
        if all(c == bare[0] for c in bare):
            return bare[0]
        raise DataError(
            f"{self.dataset.path} must have one meaning of its controls to be stored once, got different ones; convert the parts "
            "apart, or leave them out with --drop controls"
        )

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

"""What is stored of one source, and what makes it stale.

::

    analysis/<aa>/<source_id>-<fingerprint>.npz    timelines: the commit of the analysis
    analysis/<aa>/<source_id>-<fingerprint>.json   why there are none: rejected, failed or quarantined
    records/<aa>/<source_id>.json                  clips on disk: the commit of the encoding

A fingerprint names the code and the settings that a result depends on, and nothing else: results of two settings never
mix, and only what a changed setting concerns is made again. Files depend on content alone, never on the name of a source,
the time or the machine.
"""

import dataclasses
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from worldfoundry.core.errors import DataError
from worldfoundry.curate.detect.rows import Rows, forget
from worldfoundry.curate.store import Store
from worldfoundry.protocols.curation import Detector, Failure, SourceInfo, Timeline

SCHEMA = 2
"""Of a set as a whole, in its manifest."""
DECODE_VERSION = 1
"""Raised whenever the frames that detectors see change."""
_PIECE_BYTES = 1 << 20
TICK_S = 1e-6
"""Times in the index are rounded to this; nothing is nearer to a border than that by chance."""
Row = dict[str, Any]
"""One line of the index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What one decode of a source gave."""

    info: SourceInfo
    """The source; its name is not stored but put in by the reader."""
    seconds: np.ndarray
    """float64 [n], presentation time of every good frame."""
    damage_s: np.ndarray
    """float64 [m], about when frames were damaged or missing."""
    num_promised: int
    """Frames by the header; 0 where it does not say."""
    is_cut_short: bool
    """Whether the file ends before its container says."""
    timelines: Mapping[str, Timeline]
    """By the name of their detector."""

    @property
    def end_s(self) -> float:
        """End of the last frame."""
        n = len(self.seconds)
        step = float(self.seconds[-1] - self.seconds[0]) / (n - 1) if n > 1 else 1 / self.info.fps
        return float(self.seconds[-1]) + step

    @property
    def share_lost(self) -> float:
        """Share of the frames that are damaged or missing."""
        lost = len(self.damage_s)
        if self.is_cut_short:
            lost = max(lost, self.num_promised - len(self.seconds))
        return lost / max(1, lost + len(self.seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a source has no analysis, or its clips could not be made."""

    state: Literal["rejected", "failed", "quarantined"]
    """rejected: the file is not usable, for good. failed: tried again by the next run. quarantined: left alone."""
    reason: str
    """damaged, or the kind of failure."""
    detail: str
    """One line."""
    traceback: str = ""
    """Where it happened."""
    attempts: int = 1
    """How often it was tried."""

    @classmethod
    def of(cls, failure: Failure, hide: Iterable[str] = ()) -> "Trouble":
        """What a failure of a worker becomes; paths of this machine are taken out of the message."""
        detail, trace = failure.error, failure.traceback
        for path in hide:
            detail = detail.replace(f"{path} ", "").replace(path, "the file")
            trace = trace.replace(path, "the file")
        state = "failed" if failure.kind == "error" else "quarantined"
        if failure.kind == "error" and detail.startswith("DataError: "):
            return cls(state="rejected", reason="damaged", detail=detail.removeprefix("DataError: "))
        return cls(
            state=state,
            reason=failure.kind,
            detail=" ".join(detail.split()),
            traceback=trace,
            attempts=failure.attempts,
        )

    @classmethod
    def of_model(cls, failure: Failure, model: str, hide: Iterable[str] = ()) -> "Trouble":
        """What it becomes that a model could not look at a source: never the end of it, always tried again."""
        trouble = cls.of(failure, hide)
        return dataclasses.replace(
            trouble, state="failed", reason=failure.kind, detail=f"{model}: {trouble.detail}"
        )


def analysis_fingerprint(detectors: Iterable[Detector]) -> str:
    """Sixteen hex digits that name the detectors with their settings."""
    return _digest([DECODE_VERSION, *map(detector_key, detectors)])


def detector_key(detector: Detector) -> str:
    """Name, version and settings of a detector."""
    fields = dataclasses.asdict(detector) if dataclasses.is_dataclass(detector) else {}  # pyright: ignore[reportArgumentType]
    settings = {k: v for k, v in fields.items() if k not in ("name", "version")}
    return f"{detector.name}@{detector.version}" + (
        f" {json.dumps(settings, sort_keys=True, default=str)}" if settings else ""
    )


def source_path(kind: str, source_id: str, suffix: str) -> str:
    """Name of a file about a source, two hex digits of it being a folder."""
    return f"{kind}/{source_id[:2]}/{source_id}{suffix}"


def save_analysis(store: Store, name: str, analysis: Analysis, keys: Mapping[str, str]) -> None:
    """Commit an analysis; equal ones give equal bytes."""
    info = {k: getattr(analysis.info, k) for k in SourceInfo.__dataclass_fields__ if k != "source"}
    meta = {
        "schema": 1,
        "info": info,
        "num_promised": analysis.num_promised,
        "is_cut_short": analysis.is_cut_short,
        "detectors": dict(keys),
    }
    arrays = {"seconds": analysis.seconds, "damage_s": analysis.damage_s}
    for detector, timeline in analysis.timelines.items():
        arrays |= {f"{detector}/{key}": np.asarray(value) for key, value in timeline.items()}
    text = np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8)
    with store.writing(name) as path:
        _write_arrays(path, {"meta": text, **{k: arrays[k] for k in sorted(arrays)}})


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """An ``.npz`` file, written in small pieces: numpy's own writer takes 32 MB for a copy of each piece."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")  # its date is fixed: equal analyses give equal bytes
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as file:
                header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False}
                np.lib.format.write_array_header_1_0(file, {**header, "shape": array.shape})
                for piece in _pieces(len(array), array[:1].nbytes):
                    file.write(np.ascontiguousarray(array[piece.start : piece.stop]).tobytes())
                    forget(array)


def _pieces(num_rows: int, row_bytes: int) -> Iterator[range]:
    """Rows of an array that are read or written at a time."""
    step = max(1, _PIECE_BYTES // max(1, row_bytes))
    return (range(k, min(k + step, num_rows)) for k in range(0, num_rows, step))


def load_analysis(store: Store, name: str, source: str = "") -> tuple[Analysis, dict[str, str]]:
    """A committed analysis and the keys of its detectors; ``source`` is the name it goes by now.

    Timelines are read when they are asked for: the pictures among them are most of the bytes, and scores need none.
    """
    arrays = _Arrays(store, name)
    meta = json.loads(arrays.get("meta").tobytes())
    analysis = Analysis(
        info=SourceInfo(source=source, **meta["info"]),
        seconds=arrays.get("seconds"),
        damage_s=arrays.get("damage_s"),
        num_promised=meta["num_promised"],
        is_cut_short=meta["is_cut_short"],
        timelines=_Timelines(arrays),
    )
    return analysis, meta["detectors"]


class _Arrays:
    """The arrays of a stored file; whatever is wrong with it is a DataError that says what to do."""

    def __init__(self, store: Store, name: str):
        self._url = store.url(name)
        with self._told():
            self._file = zipfile.ZipFile(self._url if store.is_local else io.BytesIO(store.read_bytes(name)))
        self.names = tuple(entry.removesuffix(".npy") for entry in self._file.namelist())

    def get(self, name: str) -> np.ndarray:
        """One array, not to be changed; a long one waits on disk until it is looked at."""
        with self._told(), self._file.open(f"{name}.npy") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            rows = Rows(dtype, shape[1:])
            for piece in _pieces(shape[0], rows.row_bytes):
                data = file.read(len(piece) * rows.row_bytes)
                rows.extend(np.frombuffer(data, dtype).reshape(len(piece), *shape[1:]))
            return rows.array()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(
                f"{self._url} must be an analysis, got {error}; remove it and run again"
            ) from error


class _Timelines(Mapping[str, Timeline]):
    """Timelines by detector, read when they are asked for; the last one stays."""

    def __init__(self, arrays: _Arrays):
        self._arrays = arrays
        self._detectors = tuple(dict.fromkeys(n.split("/")[0] for n in arrays.names if "/" in n))
        self._read: dict[str, Timeline] = {}

    def __getitem__(self, detector: str) -> Timeline:
        if detector not in self._detectors:
            raise KeyError(detector)
        if detector not in self._read:
            start = f"{detector}/"
            names = [n for n in self._arrays.names if n.startswith(start)]
            self._read.clear()
            self._read[detector] = {n.removeprefix(start): self._arrays.get(n) for n in names}
        return self._read[detector]

    def __iter__(self) -> Iterator[str]:
        return iter(self._detectors)

    def __len__(self) -> int:
        return len(self._detectors)


def read_json(store: Store, name: str) -> Any | None:
    """A stored document, None if there is none."""
    try:
        return json.loads(store.read_bytes(name))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"{store.url(name)} must be JSON, got {error}; remove it and run again") from error


def write_json(store: Store, name: str, value: Any) -> None:
    """Store a document."""
    store.write_bytes(name, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_trouble(store: Store, name: str) -> Trouble | None:
    """Stored trouble, None if there is none."""
    document = read_json(store, name)
    return None if document is None else Trouble(**document)


def write_trouble(store: Store, name: str, trouble: Trouble) -> None:
    """Store trouble."""
    write_json(store, name, dataclasses.asdict(trouble))


def timeline_key(detector: Detector) -> str:
    """What a stored timeline depends on: the detector, and the frames that it was shown."""
    return f"decode@{DECODE_VERSION} {detector_key(detector)}"


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=8).hexdigest()


def digest_of(*values: Any) -> str:
    """Sixteen hex digits that name JSON values."""
    return _digest(list(values))


def clip_id_of(source_id: str, start_s: float, end_s: float, encode: Any) -> str:
    """Twenty hex digits that name a clip: equal exactly if content, span and encoding are."""
    span = [round(start_s * 1e6), round(end_s * 1e6)]
    return hashlib.blake2b(json.dumps([source_id, *span, encode]).encode(), digest_size=10).hexdigest()

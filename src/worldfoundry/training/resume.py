"""Going on with a run: which one, whether its inputs are still the same, and how it is stopped on the way."""

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from worldfoundry.core.config import digest, from_json, load_config, save_config, to_json
from worldfoundry.core.errors import CheckpointError, ConfigError
from worldfoundry.core.runs import find_resumable, new_run_folder
from worldfoundry.models.pretrained.config import ReleaseConfig
from worldfoundry.protocols.control import check_match
from worldfoundry.training.config import TrainConfig

_MOST_TOLD = 5
"""Differing settings that are told by name."""


def find_run(config: TrainConfig, root: Path) -> Path:
    """The newest run of this configuration, or a new one; a new one beside others of the recipe is told with what differs."""
    found = find_resumable(root, config.recipe, digest(config), digest_of=_digest_as_read_now)
    if found is not None:
        return found
    others = sorted((root / config.recipe).glob("*-*/config.json"))
    found = new_run_folder(root, config.recipe)
    save_config(config, found / "config.json")
    if others:
        _tell_new(found, others[-1], config)
    return found


def _tell_new(run: Path, other: Path, config: TrainConfig) -> None:
    there, here = _flat(json.loads(other.read_text(encoding="utf-8"))), _flat(to_json(config))
    fields = [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]
    told = [f"{f} {there.get(f)!r} there and {here.get(f)!r} here" for f in fields[:_MOST_TOLD]]
    more = f", and {len(fields) - _MOST_TOLD} more" if len(fields) > _MOST_TOLD else ""
    sys.stderr.write(
        f"a new run, {run}: {other.parent} has other settings ({', '.join(told)}{more}); give its settings to go on with it\n"
    )


def _flat(document: Any, prefix: str = "") -> dict[str, Any]:
    """Settings by dotted name."""
    if not isinstance(document, dict):
        return {prefix: document}
    dot = f"{prefix}." if prefix else ""
    return {k: v for name, part in document.items() for k, v in _flat(part, f"{dot}{name}").items()}


def _digest_as_read_now(stored: Any) -> str | None:
    """Digest with the settings that the stored configuration lacks at their defaults; None if it can no longer be read."""
    try:
        return digest(from_json(TrainConfig, stored))
    except ConfigError:
        return None


def check_release(checkpoint: Path, now: ReleaseConfig, data: tuple[str, ...]) -> None:
    """Refuse to go on with other clips or another tokenizer than those that made ``checkpoint``."""
    before = load_config(ReleaseConfig, checkpoint / "config.json")
    check_match(
        before.controls, now.controls, where=str(checkpoint), our_name="the run", their_name=", ".join(data)
    )
    sources = {"data_digests": ", ".join(data), "tokenizer_digest": now.world.tokenizer if now.world else ""}
    for field, source in sources.items():
        old, new = getattr(before, field), getattr(now, field)
        if old != new:
            raise CheckpointError(
                f"{checkpoint} was made with {field} {old or 'unknown'}, got {new} from {source}; put the old content "
                f"back there, or move {checkpoint.parents[1]} away to start anew"
            )


def check_inputs(checkpoint: Path, before: Mapping[str, str] | None, now: Mapping[str, str]) -> None:
    """Refuse to go on with other weights in the losses, or of the start, than those that made ``checkpoint``."""
    if before is None:  # it is older than this record
        if now:
            sys.stderr.write(
                f"warning: {checkpoint} does not say with which {', '.join(sorted(now))} it was made; whether they are still the "
                "same cannot be checked\n"
            )
        return
    for field in sorted({*before, *now}):
        if before.get(field) != now.get(field):
            raise CheckpointError(
                f"{checkpoint} was made with {field} of weights {before.get(field)}, got {now.get(field)}; put the old file "
                f"back, or move {checkpoint.parents[1]} away to start anew"
            )


@contextlib.contextmanager
def interruptible() -> Iterator[list[int]]:
    """Fills the list when Ctrl-C is pressed, so that the step under way is finished; a second one stops at once."""
    asked: list[int] = []

    def ask(number: int, _frame: Any) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise KeyboardInterrupt
        sys.stderr.write("\nfinishing the step under way; once more to stop at once\n")

    if threading.current_thread() is not threading.main_thread():  # others cannot handle signals
        yield asked
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)

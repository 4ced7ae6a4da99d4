"""What a person sees while a model trains: a bar with ETA on stderr, and TensorBoard if it is installed."""

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from worldfoundry.core.files import atomic_path
from worldfoundry.core.runs import read_jsonl


class Progress:
    """A progress bar with loss, speed and remaining time; plain lines where stderr is not a terminal."""

    def __init__(self, title: str, step: int, steps: int):
        self.steps = steps
        self.bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            disable=not sys.stderr.isatty(),
        )
        self.task = self.bar.add_task(title, total=steps, completed=step, loss=float("nan"))

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def update(self, step: int, loss: float) -> None:
        """Show ``step`` steps done."""
        self.bar.update(self.task, completed=step, loss=loss)
        if self.bar.disable and (step % max(1, self.steps // 100) == 0 or step == self.steps):
            sys.stderr.write(f"step {step}/{self.steps} loss {loss:.4f}\n")


class _NoBoard:
    """Stands in where TensorBoard is not installed; the JSONL log has everything."""

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def cut_metrics(path: Path, *, last_step: int) -> None:
    """Forget what a killed session logged after ``last_step``, so that no step appears twice."""
    if not path.exists():
        return
    rows = read_jsonl(path)
    kept = [row for row in rows if row["step"] <= last_step]
    if len(kept) < len(rows):
        with atomic_path(path) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")


def open_tensorboard(run: Path, *, first_step: int) -> Any:
    """A TensorBoard writer in ``run/tensorboard``, or one that writes nothing where the ``track`` extra is missing.

    What an earlier session logged from ``first_step`` on is hidden.
    """
    try:
        from torch.utils.tensorboard.writer import SummaryWriter  # noqa: PLC0415  the track extra is optional
    except ImportError:
        return _NoBoard()
    return SummaryWriter(str(run / "tensorboard"), purge_step=first_step)

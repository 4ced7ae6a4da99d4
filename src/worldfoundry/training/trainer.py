"""The one training loop.

A step's draws come from a generator seeded with (seed, step), so that nothing about the data has to be stored and a resumed run
equals an uninterrupted one bit for bit. A checkpoint without ``DONE`` does not exist; it appears by one rename.
"""

import copy
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from worldfoundry.core.config import from_json, to_json
from worldfoundry.core.errors import CheckpointError, ConfigError
from worldfoundry.core.files import atomic_folder
from worldfoundry.core.runs import append_jsonl, write_manifest
from worldfoundry.data.video_write import write_image
from worldfoundry.models.pretrained.config import read_release
from worldfoundry.models.pretrained.release import (
    check_fit,
    in_dtype,
    load_tokenizer,
    load_weights,
    read_weights,
    save_release,
)
from worldfoundry.training.clips import check_data
from worldfoundry.training.config import OptimConfig, TokenizerObjective, TrainConfig
from worldfoundry.training.ema import ema_beta, ema_exponent, update_ema
from worldfoundry.training.objectives import Loss, Task
from worldfoundry.training.progress import Progress, cut_metrics, open_tensorboard
from worldfoundry.training.resume import check_inputs, check_release, find_run, interruptible

__all__ = ["autocast", "build_task", "resolve_device", "train"]


def resolve_device(name: str) -> torch.device:
    """``auto`` takes a GPU where there is one; asking for one that is not there is an error."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "train.device must be a device of this machine, got 'cuda' and there is no GPU; use --device cpu"
        )
    return torch.device(name)


def autocast(config: TrainConfig, device: torch.device) -> torch.autocast:
    """The precision of the forward pass."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16")


def build_task(config: TrainConfig, device: torch.device) -> Task:
    """The task of a configuration."""
    if isinstance(config.objective, TokenizerObjective):
        from worldfoundry.training.tokenizer_task import TokenizerTask  # noqa: PLC0415  as below

        return TokenizerTask(config, config.objective, device)
    from worldfoundry.training.world_task import WorldTask  # noqa: PLC0415  pulls in the diffusion stack only when asked

    return WorldTask(config, config.objective, device)


def build_optimizer(network: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW; matrices and kernels decay, vectors do not."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), eps=config.eps
    )


def train(config: TrainConfig, *, runs_root: Path = Path("runs"), stop_after: int | None = None) -> Path:
    """Train, or go on with the newest run of the same configuration; returns the run folder.

    ``stop_after`` ends this session after that many further steps, with a checkpoint; the next call goes on.
    """
    device = resolve_device(config.device)
    check_data(config.data)
    start = read_start(config)
    torch.use_deterministic_algorithms(device.type == "cpu")
    task = build_task(config, device)
    if start is not None:
        check_fit(task.network.state_dict(), start, Path(config.init_from))
        task.network.load_state_dict(start)
        del start  # of a large model it is worth its memory
    run = find_run(config, runs_root)  # last: data that cannot be used leaves no empty run
    average = copy.deepcopy(task.network).requires_grad_(False).eval()
    state = _State(config=config, run=run, task=task, average=average)
    state.restore()
    write_manifest(
        run, seed=config.seed, device=str(device), threads=torch.get_num_threads(), start_step=state.step
    )
    state.run_until(config.steps if stop_after is None else min(config.steps, state.step + stop_after))
    return run


def read_start(config: TrainConfig) -> dict[str, Tensor] | None:
    """Weights of the release to start from, of the same configuration; a tokenizer's may be in any layout. None: fresh ones."""
    objective = config.objective
    if not config.init_from:
        return None
    if isinstance(objective, TokenizerObjective):
        found = load_tokenizer(config.init_from)
        if found.parts != "whole":
            raise ConfigError(
                f"train.init_from must be a whole tokenizer, got the {found.parts} alone of {config.init_from!r}; name both "
                "halves"
            )
        _check_same(config.init_from, found.config, objective.model)
        return found.state_dict()
    folder, release = read_release(config.init_from)
    if release.world is None:
        raise ConfigError(
            f"train.init_from must be a world model, got {config.init_from!r}, a {release.family}; name another"
        )
    _check_same(config.init_from, release.world.network, objective.model.network)
    return in_dtype(read_weights(folder / "model.safetensors"), torch.float32)


def _check_same(name: str, found: Any, wanted: Any) -> None:
    """Weights mean something with their own configuration only, also where their shapes fit another."""
    a, b = to_json(found), to_json(wanted)
    other = [field for field in sorted({*a, *b}) if a.get(field) != b.get(field)]
    if other:
        sides = ", ".join(f"{field} {a.get(field)!r} there and {b.get(field)!r} here" for field in other)
        raise ConfigError(
            f"train.init_from must be a model of the recipe's configuration, got {name!r} with {sides}; change objective.model, "
            "or start from another"
        )


class _Learner:
    """A network, its optimiser and its schedule."""

    def __init__(self, network: nn.Module, config: OptimConfig, *, steps: int, first_step: int = 0):
        self.network, self.config, self.steps, self.first_step = network, config, steps, first_step
        self.optimizer = build_optimizer(network, config)

    def update(self, loss: Loss, *, step: int, run: Path) -> dict[str, float]:
        """One optimiser step down the gradient of ``loss``; what to log."""
        rate = self.config.learning_rate_at(step - self.first_step, self.steps - self.first_step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        total, parts = loss
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.grad_clip)
        if not torch.isfinite(norm):
            raise ConfigError(
                f"step {step}: the gradient norm must be finite, got {norm.item()}; lower optim.learning_rate "
                f"(now {rate:.2e}) and start again, from here with --init-from {run}"
            )
        self.optimizer.step()
        logged = {k: v.item() for k, v in parts.items()}
        return {"loss": total.item(), **logged, "grad_norm": norm.item(), "lr": rate}

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


class _State:
    """Everything that a checkpoint holds, and the loop over it."""

    def __init__(self, *, config: TrainConfig, run: Path, task: Task, average: nn.Module):
        self.config, self.run, self.task, self.average = config, run, task, average
        self.learner = _Learner(task.network, config.optim, steps=config.steps)
        self.opponent = None
        if task.opponent is not None:
            o = task.opponent
            self.opponent = _Learner(o.network, o.optim, steps=config.steps, first_step=o.first_step)
        self.device = next(task.network.parameters()).device
        self.step = 0
        self.exponent = ema_exponent(config.ema_width)

    def run_until(self, last: int) -> None:
        """Take steps up to ``last``, logging, picturing and saving on the way; Ctrl-C saves behind the step under way."""
        board = open_tensorboard(self.run, first_step=self.step + 1)
        bar = Progress(self.config.recipe, self.step, self.config.steps)
        with bar as progress, interruptible() as asked:
            while self.step < last and not asked:
                began = time.perf_counter()
                metrics = self.take_step()
                metrics["time/step_seconds"] = time.perf_counter() - began
                progress.update(self.step, metrics["loss"])
                self._report(metrics, board, done=self.step == last)
            if asked and not (self._checkpoint() / "DONE").exists():
                self.save()
        board.close()
        if asked and self.step < last:
            sys.stderr.write(
                f"stopped at step {self.step} of {self.config.steps}, saved in {self._checkpoint()}; the same command goes on "
                "from there\n"
            )
            raise KeyboardInterrupt

    def take_step(self) -> dict[str, float]:
        """One optimiser step."""
        config = self.config
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        with autocast(config, self.device):
            loss = self.task.loss(generator, step=self.step)
        metrics = self.learner.update(loss, step=self.step, run=self.run)
        update_ema(self.average, self.task.network, ema_beta(self.step, self.exponent))
        if self.opponent is not None and self.step >= self.opponent.first_step:
            assert self.task.opponent is not None, "the learner was made for it"
            with autocast(config, self.device):
                loss = self.task.opponent.loss()
            found = self.opponent.update(loss, step=self.step, run=self.run)
            metrics |= {k if "/" in k else f"opponent/{k}": v for k, v in found.items()}
        self.step += 1
        return metrics

    def _report(self, metrics: dict[str, float], board: Any, *, done: bool) -> None:
        config = self.config
        if self.step == config.steps or self.step % config.log_every == 0:
            append_jsonl(self.run / "metrics.jsonl", {"step": self.step, **metrics})
            for name, value in metrics.items():
                board.add_scalar(name, value, self.step)
        if self.step == config.steps or self.step % config.sample_every == 0:
            folder = self.run / "samples" / f"step-{self.step:08d}"
            folder.mkdir(parents=True, exist_ok=True)
            write_image(folder / "grid.png", self.task.picture(self.average))
        if done or self.step % config.checkpoint_every == 0:
            self.save()

    def _checkpoint(self) -> Path:
        return self.run / "checkpoints" / f"step-{self.step:08d}"

    def save(self) -> None:
        """Write the whole state; the released weights are the average."""
        folder = self._checkpoint()
        with atomic_folder(folder) as temporary:
            save_release(temporary, self.average, self.task.release(self.step))
            state = {
                "step": self.step,
                "machine": self._machine(),
                "config": to_json(self.config),
                "inputs": dict(self.task.inputs),
                **self.learner.state(),
            }
            if self.opponent is not None:
                state["opponent"] = self.opponent.state()
            torch.save(state, temporary / "train_state.pt")
            (temporary / "DONE").touch()
        for old in sorted(folder.parent.glob("step-*"))[:-2]:
            (old / "train_state.pt").unlink(missing_ok=True)  # the released weights of every checkpoint stay

    def restore(self) -> None:
        """Go on from the newest checkpoint that has its full state, if there is one, and forget what was logged after it."""
        found = sorted(
            p.parent
            for p in self.run.glob("checkpoints/step-*/train_state.pt")
            if (p.parent / "DONE").exists()
        )
        if found:
            self._load(found[-1])
            sys.stderr.write(f"resuming {self.run} at step {self.step}\n")
        cut_metrics(self.run / "metrics.jsonl", last_step=self.step)

    def _load(self, folder: Path) -> None:
        state = torch.load(folder / "train_state.pt", weights_only=True, map_location="cpu")
        if from_json(TrainConfig, state["config"], where=str(folder)) != self.config:
            raise CheckpointError(
                f"{folder} was made with another configuration; give the settings of {self.run / 'config.json'} or remove it"
            )
        check_release(folder, self.task.release(state["step"]), self.config.data)
        check_inputs(folder, state.get("inputs"), self.task.inputs)
        before, now = state.get("machine", {}), self._machine()  # 0.1.0 did not store it
        if before != now:
            sys.stderr.write(
                f"warning: {folder} was made on {before or 'an unknown machine'}, this is {now}: the run will not be bit for bit "
                "the one that was never stopped\n"
            )
        self.learner.load(state)
        if self.opponent is not None:
            self.opponent.load(state["opponent"])
        load_weights(self.average, folder / "model.safetensors")
        self.step = state["step"]

    def _machine(self) -> dict[str, Any]:
        """Part of what changes the order of sums, and with it the last bits of a run; the models of CPU and GPU do too."""
        return {"device": self.device.type, "threads": torch.get_num_threads()}

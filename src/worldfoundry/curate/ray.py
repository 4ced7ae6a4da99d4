"""The Ray executor: the same functions over the same items, in actors of Ray Data; the only module that imports ray.

A row is a position, a deadline and a pickled job, which names a source and holds no byte of it; results are as small. Each
actor has a killable child of its own: a codec that crashes must not end an actor, since Ray would blindly try again. Ray
Data gives the growing and shrinking pool, back-pressure, and machines other than this one.
"""

import os
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from worldfoundry.core.errors import ConfigError, require_package
from worldfoundry.curate.local import Worker, never, persistent
from worldfoundry.protocols.curation import Failure

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RayExecutor:
    """Runs items in a pool of actors that grows to what there is to do."""

    address: str = ""
    """Of a cluster; empty: a Ray of this machine, started when it is first needed."""
    num_workers: int = 1
    """Actors at most."""
    attempts: int = 2
    """How often an item is tried whose worker hung or died."""
    memory_gb: float = 0.0
    """Address space of a child at most; 0 sets no limit."""
    num_gpus: float = 0.0
    """GPUs of one actor, for models that need them."""

    def __post_init__(self):
        if self.num_workers < 1:
            raise ConfigError(f"workers must be at least 1 with Ray, got {self.num_workers}; raise it")

    def __call__(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        *,
        deadlines_s: Sequence[float],
        stopped: Callable[[], bool] = never,
    ) -> Iterator[tuple[int, Any | Failure]]:
        """Pairs of an item's position and its result, as they are done."""
        if not items or stopped():
            return
        data = self._started()
        order = sorted(range(len(items)), key=lambda k: (-deadlines_s[k], k))
        rows: list[Record] = [
            {"k": k, "deadline_s": float(deadlines_s[k]), "job": pickle.dumps(items[k])} for k in order
        ]
        done = data.from_items(rows, override_num_blocks=len(rows)).map(
            Actor,
            fn_constructor_args=(pickle.dumps(function), self.attempts, self.memory_gb),
            compute=data.ActorPoolStrategy(min_size=1, max_size=min(self.num_workers, len(items))),
            num_cpus=1,
            num_gpus=self.num_gpus or None,
        )
        for row in done.iter_rows():
            yield int(row["k"]), pickle.loads(row["result"])
            if stopped():
                return

    def for_models(self) -> "RayExecutor":
        """Actors that hold one GPU each, if the cluster has any."""
        self._started()
        ray: Any = require_package("ray", "ray")
        return replace(self, num_gpus=1.0 if ray.cluster_resources().get("GPU", 0) >= 1 else 0.0)

    def _started(self) -> Any:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told what is curated here
        ray: Any = require_package("ray", "ray")
        data: Any = require_package("ray.data", "ray")
        if not ray.is_initialized():
            quiet = {"logging_level": "ERROR", "log_to_driver": False}
            if self.address:
                ray.init(address=self.address, **quiet)
            else:
                ray.init(num_cpus=self.num_workers, include_dashboard=False, **quiet)
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = False
        context.max_errored_blocks = 0  # a function never raises: what goes wrong is a result
        return data


class Actor:
    """Lives in a process of Ray and holds one killable child."""

    def __init__(self, function: bytes, attempts: int, memory_gb: float):
        # Children import the script of their parent; that of an actor is Ray's own, heavy and of no use to them.
        vars(sys.modules["__main__"]).pop("__file__", None)
        self._function = pickle.loads(function)
        self._attempts = attempts
        self._worker = Worker(memory_gb=memory_gb)

    def __call__(self, row: Record) -> Record:
        """The result of a row's job."""
        job = pickle.loads(row["job"])
        result = persistent(self._worker, self._function, job, row["deadline_s"], self._attempts)
        return {"k": row["k"], "result": pickle.dumps(result)}

    def __del__(self):
        self._worker.close()

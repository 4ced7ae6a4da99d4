"""Where a published model runs: on the GPU that this process may use, else on the CPU."""

from typing import Any

from worldfoundry.core.errors import require_package


def device() -> Any:
    """The torch device; Ray shows each actor its own GPU."""
    torch = require_package("torch", "curate")
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def beside(model: Any, given: Any) -> Any:
    """A tensor, or what a processor gives by name, on the device of a model."""
    where = getattr(model, "device", "cpu")
    if hasattr(given, "items"):
        return {k: v.to(where) if hasattr(v, "to") else v for k, v in given.items()}
    return given.to(where)

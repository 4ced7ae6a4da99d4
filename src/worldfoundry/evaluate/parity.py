"""Golden cases: what a reference computed, computed again here and compared.

A case is a pair ``<case>.json`` + ``<case>.safetensors`` anywhere below a folder. Cases of models that this package does not
have are reported as unsupported, never as passed. The comparisons themselves are in the modules ``parity_…``
of the families.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from worldfoundry.core.errors import DataError

Verdict = Literal["pass", "fail", "unsupported"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCase:
    """One stored case."""

    name: str
    """Path below the folder that was asked for, without suffix."""
    meta: dict[str, Any]
    """What the JSON says."""
    tensors: dict[str, Tensor]
    """Weights, inputs and outputs by name."""
    path: Path
    """Its JSON; a case may name another one beside it."""

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Tensors below a prefix, named without it."""
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison that a case made."""

    part: str = ""
    """Which part of the case; empty for the whole of it."""
    pairs: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Ours and the reference; empty if this part is not supported."""
    tolerance: float | None = None
    """Largest absolute difference allowed."""
    reason: str = ""
    """Why it is not supported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityRow:
    """The verdict on one case or one part of it."""

    case: str
    """Name of the case, ``/`` and the part if there are several."""
    max_abs: float | None
    """Largest absolute difference; None if nothing was compared."""
    tolerance: float | None
    """Largest absolute difference allowed."""
    verdict: Verdict
    """pass, fail or unsupported."""
    note: str = ""
    """Why it failed without a difference, or is not supported."""


class UnsupportedCaseError(Exception):
    """Raised by a comparison for a case that uses something this package does not have; becomes a row, never escapes."""


Comparison = Callable[[GoldenCase], Iterator[Check]]


def find_cases(folder: Path) -> list[Path]:
    """JSON files below ``folder`` that have their safetensors beside them, sorted."""
    if not folder.is_dir():
        got = "a file" if folder.exists() else "no such folder"
        raise DataError(
            f"{folder} must be a folder of golden cases, the stored inputs and outputs of a reference, got {got}; a checkout "
            "of the repository has them in tests/data/golden"
        )
    cases = [p for p in sorted(folder.rglob("*.json")) if p.with_suffix(".safetensors").is_file()]
    if not cases:
        raise DataError(
            f"golden folder {str(folder)!r} must hold <case>.json + <case>.safetensors pairs, found none; check it"
        )
    return cases


def run_parity(folder: Path) -> Iterator[ParityRow]:
    """Compare every golden case below ``folder``, one row at a time."""
    return _run(folder, find_cases(folder))


def _run(folder: Path, paths: list[Path]) -> Iterator[ParityRow]:
    for path in paths:
        yield from _run_case(path.relative_to(folder).with_suffix("").as_posix(), path)


def _run_case(name: str, path: Path) -> Iterator[ParityRow]:
    try:
        case = load_case(path, name)
        comparison = _comparison_of(case)
        if comparison is None:
            kind = case.meta.get("kind") or case.meta.get("family") or "this kind"
            yield _unsupported(name, f"no code for {kind}")
            return
        with torch.no_grad():
            checks = list(comparison(case))
        assert checks, "a comparison compares something"
        yield from [_row(name, check) for check in checks]
    except UnsupportedCaseError as error:
        yield _unsupported(name, str(error))
    except Exception as error:  # noqa: BLE001  a crash in one case is that case's failure, with its message
        note = f"{type(error).__name__}: {' '.join(str(error).split())}"
        yield ParityRow(case=name, max_abs=None, tolerance=None, verdict="fail", note=note)


def load_case(path: Path, name: str) -> GoldenCase:
    """The case whose JSON is at ``path``."""
    try:
        meta = json.loads(path.read_text())
        tensors = load_file(path.with_suffix(".safetensors"))
    except (ValueError, SafetensorError) as error:
        raise DataError(
            f"golden case {str(path)!r} must be valid JSON and safetensors ({error}); fetch it again"
        ) from error
    if not isinstance(meta, dict):
        raise DataError(
            f"golden case {str(path)!r} must hold a JSON object, got {type(meta).__name__}; fetch it again"
        )
    return GoldenCase(name=name, meta=meta, tensors=tensors, path=path)


def _comparison_of(case: GoldenCase) -> Comparison | None:
    from worldfoundry.evaluate import (  # noqa: PLC0415  they import this module
        parity_ar_files,
        parity_autoregressive,
        parity_diffusers,
        parity_diffusion,
        parity_tokenizer,
    )

    families = (
        parity_diffusion,
        parity_diffusers,
        parity_tokenizer,
        parity_autoregressive,
        parity_ar_files,
    )
    return next((found for family in families if (found := family.find_comparison(case))), None)


def _unsupported(name: str, reason: str) -> ParityRow:
    return ParityRow(case=name, max_abs=None, tolerance=None, verdict="unsupported", note=reason)


def _row(name: str, check: Check) -> ParityRow:
    name = f"{name}/{check.part}" if check.part else name
    if check.tolerance is None:
        return _unsupported(name, check.reason)
    max_abs = max(_max_abs(ours, reference) for ours, reference in check.pairs)
    if not math.isfinite(max_abs):
        return ParityRow(
            case=name, max_abs=None, tolerance=check.tolerance, verdict="fail", note=f"difference {max_abs}"
        )
    verdict: Verdict = "pass" if max_abs <= check.tolerance else "fail"
    return ParityRow(case=name, max_abs=max_abs, tolerance=check.tolerance, verdict=verdict)


def _max_abs(ours: Tensor, reference: Tensor) -> float:
    if ours.shape != reference.shape or ours.numel() == 0:
        raise DataError(
            f"shapes must agree and not be empty, got {list(ours.shape)} and {list(reference.shape)}; fix the case"
        )
    difference = float((ours.double() - reference.double()).abs().max())
    return difference if math.isfinite(difference) else math.inf

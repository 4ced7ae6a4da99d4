"""``worldfoundry doctor``: what this machine can do, tried and not guessed, and the fix for what it cannot.

Parses with argparse and imports everything else late, so that it also speaks on a broken installation.
"""

import argparse
import importlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from worldfoundry import __version__

_BASE = ("torch", "numpy", "einops", "safetensors", "av", "tyro", "rich", "jaxtyping")
_EXTRAS = {
    "curate": {"cv2": "opencv-python-headless", "pyarrow": "pyarrow"},
    "cloud": {"fsspec": "fsspec", "s3fs": "s3fs"},
    "hub": {"huggingface_hub": "huggingface_hub"},
    "ray": {"ray": "ray"},
    "simulate": {"mujoco": "mujoco"},
    "track": {"tensorboard": "tensorboard"},
}
_DECODERS = {
    "H.264": ("h264",),
    "H.265": ("hevc",),
    "AV1": ("libdav1d", "libaom-av1"),
    "VP9": ("vp9", "libvpx-vp9"),
    "MPEG-4": ("mpeg4",),
}
_REINSTALL_AV = "pip install --force-reinstall --only-binary av av"
_GL_PROBE = "from worldfoundry.simulate.film import simulate; simulate('free-fall', seed=0, num_frames=1, renderer='gl')"
_GIB = 1024**3

State = Literal["ok", "note", "broken"]


@dataclass(frozen=True, slots=True)
class Row:
    """One finding."""

    name: str
    """What was looked at."""
    state: State
    """``note`` limits something and breaks nothing; ``broken`` stops the demo."""
    found: str
    """What was found."""
    fix: str = ""
    """What to do about it."""


def run(args: list[str]) -> int:
    """Check this machine; 1 if something is broken."""
    parser = argparse.ArgumentParser(
        prog="worldfoundry doctor",
        description="Check versions, extras, devices, codecs, simulation, weights and disk, and name the fix.",
        epilog="example: worldfoundry doctor --json",
    )
    parser.add_argument("--json", action="store_true", help="print a list of {name, state, found, fix}")
    options = parser.parse_args(args)
    rows: list[Row] = []
    for check in _CHECKS:
        for row in check():
            rows.append(row)
            if not options.json:
                _write(row)
    broken = sum(row.state == "broken" for row in rows)
    if options.json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    else:
        sys.stdout.write("\n" + (f"{broken} broken\n" if broken else "ready\n"))
    return 1 if broken else 0


def _write(row: Row) -> None:
    sys.stdout.write(f"{row.state:<7} {row.name:<16} {row.found}\n")
    if row.fix:
        sys.stdout.write(f"{'':<25}fix: {row.fix}\n")
    sys.stdout.flush()


def check_python() -> Iterator[Row]:
    """Python and this package."""
    yield Row("worldfoundry", "ok", f"{__version__} in {Path(__file__).resolve().parents[1]}")
    system = f"{platform.system()} {platform.machine()}"
    yield Row("python", "ok", f"{platform.python_version()} on {system}, {sys.executable}")


def check_packages() -> Iterator[Row]:
    """What ``pip install worldfoundry`` brings, and the extras, each really imported."""
    yield _package_row(
        "packages", {name: name for name in _BASE}, absent="broken", fix="pip install worldfoundry"
    )
    for extra, modules in _EXTRAS.items():
        fix = f"pip install 'worldfoundry[{extra}]'"
        yield _package_row(f"extra {extra}", modules, absent="note", fix=fix)


def _package_row(name: str, modules: dict[str, str], *, absent: State, fix: str) -> Row:
    versions: list[str] = []
    for module, package in modules.items():
        try:
            number = version(package)
        except PackageNotFoundError:
            return Row(name, absent, f"{package} is not installed", fix)
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:
            mend = f"pip uninstall -y {package}; pip install {package}"
            if module == "cv2":  # two OpenCV packages share one folder; the one with windows needs libGL
                mend = f"pip uninstall -y opencv-python {package}; pip install {package}"
            return Row(name, "broken", f"{package} {number} does not import: {_line(error)}", mend)
        versions.append(f"{package} {number}")
    return Row(name, "ok", ", ".join(versions))


def check_devices() -> Iterator[Row]:
    """Processor, memory and accelerators, each asked for a small sum."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        import torch  # noqa: PLC0415  heavy, and absent on a broken installation
    except (ImportError, OSError) as error:
        yield Row(
            "devices", "broken", f"PyTorch does not import: {_line(error)}", "pip install 'torch>=2.11,<2.14'"
        )
        return
    yield Row("cpu", "ok", f"{cpus} cores, PyTorch uses {torch.get_num_threads()} threads{_memory()}")
    names = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    names += ["mps"] if torch.backends.mps.is_available() else []
    for name in names:
        try:
            torch.ones(8, 8, device=name).sum().item()
        except RuntimeError as error:
            yield Row(
                name, "broken", _line(error), "check the driver, or hide the device: CUDA_VISIBLE_DEVICES="
            )
            continue
        yield Row(name, "ok", _accelerator(torch, name))
    if not names:
        yield Row("gpu", "note", "none; everything runs on the CPU with the nano models")


def _accelerator(torch: Any, name: str) -> str:
    if not name.startswith("cuda"):
        return "Apple GPU"
    properties = torch.cuda.get_device_properties(name)
    return f"{properties.name}, {properties.total_memory / _GIB:.0f} GiB"


def _memory() -> str:
    try:
        return f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / _GIB:.0f} GiB memory"
    except (ValueError, OSError, AttributeError):  # not told on this system
        return ""


def check_codecs() -> Iterator[Row]:
    """Decoders that PyAV was built with; two frames of H.264 written and read back."""
    try:
        import av  # noqa: PLC0415  absent on a broken installation
        import av.error  # noqa: PLC0415
        import numpy as np  # noqa: PLC0415
    except (ImportError, OSError) as error:
        yield Row("codecs", "broken", f"PyAV does not import: {_line(error)}", _REINSTALL_AV)
        return
    missing = [
        name for name, codecs in _DECODERS.items() if not any(_can_decode(av, codec) for codec in codecs)
    ]
    if missing:
        yield Row(
            "decode",
            "broken",
            f"PyAV {av.__version__} has no decoder for {', '.join(missing)}",
            _REINSTALL_AV,
        )
    else:
        yield Row("decode", "ok", ", ".join(_DECODERS))
    try:
        decoded = _h264_round_trip(av, np.zeros((64, 64, 3), np.uint8), num_frames=2)
    except (av.error.FFmpegError, ValueError) as error:
        yield Row("encode", "broken", f"libx264 failed: {_line(error)}", _REINSTALL_AV)
        return
    if decoded == 2:
        yield Row("encode", "ok", "H.264 (libx264), 2 frames written and read back")
    else:
        yield Row("encode", "broken", f"2 frames written with libx264, {decoded} read back", _REINSTALL_AV)


def _can_decode(av: Any, codec: str) -> bool:
    try:
        av.codec.Codec(codec, "r")
    except ValueError:  # av.codec.UnknownCodecError
        return False
    return True


def _h264_round_trip(av: Any, picture: Any, *, num_frames: int) -> int:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(num_frames):
            frame = av.VideoFrame.from_ndarray(picture)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        return sum(1 for _ in container.decode(video=0))


def check_simulation() -> Iterator[Row]:
    """A ray-cast scene here; an OpenGL one in a process of its own, since drivers can abort."""
    try:
        from worldfoundry.simulate.film import simulate  # noqa: PLC0415  imports torch

        clip = simulate("free-fall", seed=0, num_frames=2)
    except (ImportError, OSError) as error:
        yield Row("simulation", "note", _line(error), "pip install 'worldfoundry[simulate]'")
        return
    yield Row("simulation", "ok", f"ray-cast renderer, {len(clip.frames.pixels)} frames of free-fall")
    try:
        command = [sys.executable, "-c", _GL_PROBE]
        works = subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        works = False
    if works:
        yield Row("gl", "ok", "OpenGL context made; use it with simulate --renderer gl")
    else:
        yield Row("gl", "note", "no OpenGL context here; the ray-cast renderer is used, nothing is missing")


def check_weights() -> Iterator[Row]:
    """Models that come with the package."""
    folder = Path(__file__).resolve().parents[1] / "models" / "weights"
    files = sorted(folder.glob("*/model.safetensors"))
    if files:
        sizes = (f"{file.parent.name} ({file.stat().st_size / 1e6:.1f} MB)" for file in files)
        yield Row("weights", "ok", ", ".join(sizes))
    else:
        fix = "install worldfoundry again, or train them: worldfoundry train --help"
        yield Row("weights", "broken", f"no models in {folder}", fix)


def check_disk() -> Iterator[Row]:
    """Room and permission to write here."""
    here = Path.cwd()
    free = shutil.disk_usage(here).free / _GIB
    state: State = "ok" if free >= 5 else "note" if free >= 0.5 else "broken"
    fix = "" if state == "ok" else "free some space or work in another folder; the demo writes about 0.1 GiB"
    yield Row("disk", state, f"{free:.1f} GiB free at {here}", fix)
    try:
        with tempfile.TemporaryFile(dir=here):
            pass
    except OSError as error:
        yield Row(
            "write", "broken", f"cannot write to {here}: {error.strerror}", "work in a folder of your own"
        )
    else:
        yield Row("write", "ok", f"{here} is writable")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


_CHECKS: tuple[Callable[[], Iterator[Row]], ...] = (
    check_python,
    check_packages,
    check_devices,
    check_codecs,
    check_simulation,
    check_weights,
    check_disk,
)

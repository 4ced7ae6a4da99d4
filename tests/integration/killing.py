"""Runs the curator in a process of its own that is killed at the n-th step on disk, workers and all.

``sitecustomize`` below is imported by every Python process of the run, so that steps of workers count too.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_HOOK = """
import os, signal
_replace, _path, _at = os.replace, os.environ.get("KILL_COUNTER"), int(os.environ.get("KILL_AT", 0))

def _count():
    file = os.open(_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, b".")
    size = os.fstat(file).st_size
    os.close(file)
    if size == _at:
        os.killpg(os.getpgid(0), signal.SIGKILL)

def replace(source, target, **kwargs):
    _count()
    _replace(source, target, **kwargs)
    _count()

if _path:
    os.replace = replace
"""
_RUN = """
import sys
from pathlib import Path
from tests.unit.curate.faults import Fault
from tests.unit.curate.standins import Change
from tests.unit.curate.test_pipeline import CONFIG
from worldfoundry.curate.local import LocalExecutor
from worldfoundry.curate.pipeline import Request, run

if __name__ == "__main__":
    request = Request(inputs=(sys.argv[1],), out=sys.argv[2], config=CONFIG, detectors=(Change(), Fault()))
    run(request, executor=LocalExecutor(num_workers=int(sys.argv[3])))
"""


class Killer:
    """Starts runs and kills them."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "hook").mkdir(parents=True)
        (folder / "hook" / "sitecustomize.py").write_text(_HOOK)
        (folder / "curate_once.py").write_text(_RUN)

    def run(self, source: Path, out: Path, *, kill_at: int = 0, workers: int = 1) -> tuple[bool, int]:
        """Whether the run was killed, and its steps on disk; 0 does not kill."""
        counter = self.folder / "counter"
        counter.unlink(missing_ok=True)
        paths = [self.folder / "hook", REPOSITORY / "src", REPOSITORY]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "KILL_COUNTER": str(counter),
            "KILL_AT": str(kill_at),
        }
        command = [sys.executable, self.folder / "curate_once.py", source, out, str(workers)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, start_new_session=True
        )
        killed = done.returncode == -signal.SIGKILL
        assert killed or done.returncode == 0, done.stderr
        return killed, counter.stat().st_size if counter.exists() else 0

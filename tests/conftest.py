"""What every test needs: one thread a worker, reproducible examples, the paths of the repository."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: the workers share the cores

from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]

settings.register_profile("worldfoundry", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("worldfoundry")


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def samples() -> Path:
    return REPOSITORY / "samples"

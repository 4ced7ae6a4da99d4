"""Fixtures of the tests of stored clips."""

import pytest
from tests.unit.data.stored.made import make_robot


@pytest.fixture
def robot(tmp_path):
    """A simulated folder: two views, actions, controls, facts."""
    return make_robot(tmp_path / "robot")

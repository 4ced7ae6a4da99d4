"""Flights move as their names and facts say."""

import functools

import numpy as np
import pytest

from worldfoundry.simulate.places.flights import FLIGHTS, Flight
from worldfoundry.simulate.places.motion import swing
from worldfoundry.simulate.places.outdoor import draw_outdoor
from worldfoundry.simulate.places.place import Place
from worldfoundry.simulate.places.room import draw_room

STEP = 0.05


@functools.cache
def place_of(name: str) -> Place:
    draw = {"room": draw_room, "outdoor": draw_outdoor}[name]
    return next(p for p in (draw(np.random.default_rng(seed)) for seed in range(9)) if len(p.subjects) > 0)


def flown(name: str, seed: int, place: str = "room") -> tuple[Flight, np.ndarray, np.ndarray, np.ndarray]:
    """Flight, times within the leg, poses and fields of view."""
    flight = FLIGHTS[name](np.random.default_rng(seed), place_of(place))
    seconds = np.arange(0, flight.leg_seconds - 0.5, STEP)
    return flight, seconds, *flight.poses(seconds)


def turned(poses: np.ndarray) -> np.ndarray:
    """Angle [t - 1] between one pose and the next."""
    relative = np.swapaxes(poses[:-1, :3, :3], 1, 2) @ poses[1:, :3, :3]
    return np.arccos(np.clip((np.trace(relative, axis1=1, axis2=2) - 1) / 2, -1, 1))


def speeds(poses: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1) / STEP


@pytest.mark.parametrize("leg", [5.0, 6.7])
def test_a_swing_is_as_fast_as_time_on_the_leg_and_turns_round_smoothly_inside_it(leg):
    seconds = np.linspace(0, 5 * leg, 20001)
    u = swing(seconds, leg)
    speed = np.diff(u) / np.diff(seconds)
    assert u[0] == 0
    assert u.min() >= 0
    assert u.max() <= leg
    on_leg = seconds < leg - 0.3
    np.testing.assert_allclose(u[on_leg], seconds[on_leg], atol=1e-12)
    assert np.abs(speed).max() < 1 + 1e-9
    assert np.abs(np.diff(speed)).max() < 4 * (seconds[1] - seconds[0])  # no jump of the speed anywhere
    assert speed.min() < -0.99  # it does come back


@pytest.mark.parametrize("name", FLIGHTS)
@pytest.mark.parametrize("place", ["room", "outdoor"])
@pytest.mark.parametrize("seed", [0, 1])
def test_poses_are_rotations_with_a_level_horizon(name, place, seed):
    _, _, poses, fov = flown(name, seed, place)
    r = poses[:, :3, :3]
    np.testing.assert_allclose(r @ np.swapaxes(r, 1, 2), np.broadcast_to(np.eye(3), r.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(r), 1)
    assert (r[:, 2, 1] < 0).all()  # y points down
    if name != "handheld":
        np.testing.assert_allclose(r[:, 2, 0], 0, atol=1e-12)
    if name != "zoom":
        assert np.ptp(fov) == 0


@pytest.mark.parametrize("seed", range(4))
def test_an_orbit_keeps_its_distance_and_its_centre_in_the_middle(seed):
    flight, _, poses, _ = flown("orbit", seed)
    offset = poses[:, :3, 3] - flight.facts["centre_m"]
    distance = np.linalg.norm(offset, axis=1)
    assert np.ptp(distance) < 1e-9
    np.testing.assert_allclose(poses[:, :3, 2], -offset / distance[:, None], atol=1e-9)
    step = np.diff(poses[:, :3, 3], axis=0)
    to_the_right = (step * poses[:-1, :3, 0]).sum(1) > 0
    assert (to_the_right == (flight.facts["direction"] == "right")).all()
    np.testing.assert_allclose(turned(poses), flight.facts["turn_rad_per_s"] * STEP, rtol=1e-6)
    np.testing.assert_allclose(speeds(poses), flight.facts["speed_m_per_s"], rtol=1e-3)


@pytest.mark.parametrize(("name", "axis", "plus"), [("dolly", 2, "forward"), ("truck", 0, "right")])
@pytest.mark.parametrize("seed", range(4))
def test_straight_flights_move_along_their_axis_without_turning(name, axis, plus, seed):
    flight, seconds, poses, _ = flown(name, seed, "outdoor")
    assert np.ptp(poses[:, :3, :3], axis=0).max() == 0
    sign = 1 if flight.facts["direction"] == plus else -1
    moved = sign * flight.facts["speed_m_per_s"] * seconds[:, None] * poses[0, :3, axis]
    np.testing.assert_allclose(poses[:, :3, 3] - poses[0, :3, 3], moved, atol=1e-9)


@pytest.mark.parametrize("name", ["pan", "tilt"])
@pytest.mark.parametrize("seed", range(4))
def test_pans_and_tilts_turn_on_the_spot(name, seed):
    flight, _, poses, _ = flown(name, seed)
    forward, rate = poses[:, :3, 2], flight.facts["turn_rad_per_s"]
    yaw, pitch = np.unwrap(np.arctan2(forward[:, 1], forward[:, 0])), np.arcsin(forward[:, 2])
    still, moving = (pitch, yaw) if name == "pan" else (yaw, pitch)
    assert np.ptp(poses[:, :3, 3], axis=0).max() == 0
    assert np.ptp(still) < 1e-9
    sign = 1 if flight.facts["direction"] in ("left", "up") else -1
    np.testing.assert_allclose(np.diff(moving), sign * rate * STEP, rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_zoom_changes_the_lens_alone(seed):
    flight, seconds, poses, fov = flown("zoom", seed)
    assert np.ptp(poses, axis=0).max() == 0
    focal = 1 / np.tan(fov / 2)
    factor = flight.facts["focal_length_factor_per_s"]
    assert (factor > 1) == (flight.facts["direction"] == "in")
    np.testing.assert_allclose(focal / focal[0], factor**seconds, rtol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_a_spline_is_curved_and_goes_at_one_speed_without_jerks(seed):
    flight, _, poses, _ = flown("spline", seed)
    np.testing.assert_allclose(speeds(poses), flight.facts["speed_m_per_s"], rtol=0.02)
    velocity = np.diff(poses[:, :3, 3], axis=0) / STEP
    assert (
        np.linalg.norm(np.diff(velocity, axis=0), axis=1).max() < 0.15 * flight.facts["speed_m_per_s"] + 1e-3
    )
    ends = poses[-1, :3, 3] - poses[0, :3, 3]
    assert np.linalg.norm(ends) < 0.999 * speeds(poses).sum() * STEP


@pytest.mark.parametrize("seed", range(4))
def test_a_camera_in_the_hand_trembles_within_its_reach(seed):
    flight, seconds, poses, _ = flown("handheld", seed)
    eyes, forwards, _ = flight.path(swing(seconds, flight.leg_seconds))
    away = np.abs(poses[:, :3, 3] - eyes)
    assert 0.001 < away.max() <= flight.facts["shake_m"] + 1e-9
    assert 0.001 < np.arccos((poses[:, :3, 2] * forwards).sum(1)).max() < 2 * flight.facts["shake_rad"]
    assert flight.facts["of"] in FLIGHTS

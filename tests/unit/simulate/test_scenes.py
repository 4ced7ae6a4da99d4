"""The shipped worlds stay as they are, and every scene begins in a possible state."""

import hashlib

import numpy as np
import pytest

from worldfoundry.simulate import physics
from worldfoundry.simulate.film import simulate
from worldfoundry.simulate.scenes import SCENES

mujoco = pytest.importorskip("mujoco")

# SHA-256 of the xml, the looks and the velocities: what the shipped models were trained on.
DIGESTS: dict[tuple[str, int], str] = {
    ("free-fall", 0): "c72eba876b2416bf",
    ("free-fall", 11): "d7ba11abe3125e6b",
    ("tilted-plane", 0): "d958221a7389bcfb",
    ("tilted-plane", 11): "28bca8cf172ebe8e",
    ("dominoes", 0): "bbc4bec49b84dc8d",
    ("dominoes", 11): "73e6cf7cc87a99f6",
}


def digest(scene: str, seed: int) -> str:
    world = SCENES[scene](np.random.default_rng(seed))
    told = (world.xml, repr(world.surfaces), world.body_names, world.preroll_seconds)
    arrays = (world.view.eye, world.view.target, world.view.sun, world.initial_velocities)
    text = repr(told) + "".join(np.array2string(a, precision=9) for a in arrays)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize(("scene", "seed"), DIGESTS)
def test_the_worlds_behind_the_shipped_weights_do_not_change(scene, seed):
    assert digest(scene, seed) == DIGESTS[scene, seed]


@pytest.mark.parametrize("scene", SCENES)
def test_nothing_interpenetrates_at_the_start(scene):
    for seed in range(6):
        world = SCENES[scene](np.random.default_rng(seed))
        model = mujoco.MjModel.from_xml_string(world.xml)
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        assert data.contact.dist.min(initial=0.0) > -1e-4, seed


def test_a_stable_stack_rests_and_an_unstable_one_topples():
    for seed in range(2):
        settings = {"seed": seed, "num_frames": 4, "fps": 1.0, "height": 16, "width": 16}
        still = simulate("stable-stack", **settings).body_positions
        assert np.abs(still - still[0]).max() < 0.01
        fallen = simulate("unstable-stack", **settings).body_positions
        assert (fallen[0, -1, 2] - fallen[-1, -1, 2]) > 0.1


def test_a_roller_in_the_trough_swings_and_gains_no_height():
    clip = simulate("u-slope", seed=0, num_frames=30, height=16, width=16)
    x, z = clip.body_positions[:, 0, 0], clip.body_positions[:, 0, 2]
    assert x.min() < -0.2
    assert x.max() > 0.2
    assert z.max() <= z[0] + 0.02


def test_the_pivot_of_the_seesaw_holds_and_the_plank_tilts():
    clip = simulate("seesaw", seed=0, num_frames=30, height=16, width=16)
    plank = clip.body_names.index("plank")
    assert np.abs(clip.body_positions[:, plank] - clip.body_positions[0, plank]).max() < 0.01
    along_z = -2 * (
        clip.body_quaternions[:, plank, 1] * clip.body_quaternions[:, plank, 3]
        - clip.body_quaternions[:, plank, 0] * clip.body_quaternions[:, plank, 2]
    )
    assert np.ptp(along_z) > 0.2


@pytest.mark.parametrize("seed", range(3))
def test_the_gyroscope_precesses_at_the_rate_of_theory(seed):
    """Steady precession of a spinning disc: rate = g l / (radius^2 / 2 * spin), to within a tenth."""
    world, model, states = physics._draw("gyroscope", seed, np.linspace(0, 2, 21))
    radius, thickness = model.geom_size[model.body_geomadr[1], :2]
    at = states.qpos[:, :3]
    arm = abs(model.eq_data[0, 2])
    spin = world.initial_velocities[0, 5]
    # Exact for slow precession of a disc of this thickness; the lean enters through the slow term alone.
    expected = 9.81 * arm / (radius**2 / 2 * spin)
    turned = np.unwrap(np.arctan2(at[:, 1], at[:, 0]))
    assert thickness < 0.1
    assert (turned[-1] - turned[0]) / 2 == pytest.approx(expected, rel=0.1)
    assert np.ptp(at[:, 2]) < 0.15  # it nods a little and does not fall


def test_contacts_name_who_touches_whom_and_where():
    clip = simulate("stable-stack", seed=0, num_frames=3, fps=1.0, height=16, width=16)
    last = clip.contacts[clip.contacts[:, 0] == 2]
    pairs = {tuple(sorted(row)) for row in last[:, 1:3].astype(int).tolist()}
    assert pairs == {
        (k, k + 1) for k in range(len(clip.body_names))
    }  # each box on the one below, the first on the floor
    np.testing.assert_allclose(np.abs(last[:, 8]), 1, atol=1e-3)  # every face lies level
    assert np.abs(last[last[:, 1:3].min(axis=1) == 0][:, 5]).max() < 2e-3  # the lowest touch at the floor


def test_nothing_touches_in_the_air():
    clip = simulate("free-fall", seed=0, num_frames=1, height=16, width=16)
    assert clip.contacts.shape == (0, 9)

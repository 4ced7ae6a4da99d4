"""The mix that comes out is the one that was asked for, whatever the order of the clips."""

import numpy as np
import pytest

from worldfoundry.curate.config import TypeConfig
from worldfoundry.curate.mix import choose_mix

NAMES = ["driving", "people", "robot", "nature"]
N = 12_000


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    return list(rng.choice(NAMES, N, p=[0.55, 0.3, 0.1, 0.05])), [f"{k:020x}" for k in range(N)]


def shares(types, taken):
    weights = np.array(taken)
    return {name: weights[[t == name for t in types]].sum() / weights.sum() for name in set(types)}


@pytest.mark.parametrize("max_repeat", [1, 3])
@pytest.mark.parametrize(
    "target",
    [
        {"driving": 0.25, "people": 0.25, "robot": 0.25, "nature": 0.25},
        {"driving": 0.2, "people": 0.5, "robot": 0.2, "nature": 0.1},
        {"robot": 0.3},
        {"driving": 0.0, "people": 0.6, "robot": 0.3, "nature": 0.1},
    ],
)
def test_the_mix_is_within_one_percent_of_the_target(clips, target, max_repeat):
    types, ids = clips
    taken = choose_mix(types, ids, TypeConfig(target=target, max_repeat=max_repeat))
    found = shares(types, taken)
    assert all(abs(found[name] - share) < 0.01 for name, share in target.items())
    assert max(taken) <= max_repeat
    assert sum(taken) <= N


def test_repeats_keep_more_clips_than_thinning_alone(clips):
    types, ids = clips
    target = dict.fromkeys(NAMES, 0.25)
    thin = choose_mix(types, ids, TypeConfig(target=target))
    thick = choose_mix(types, ids, TypeConfig(target=target, max_repeat=4))
    assert sum(thick) > 2 * sum(thin)
    assert sum(map(bool, thick)) > sum(map(bool, thin))


def test_types_that_are_not_named_keep_their_proportions(clips):
    types, ids = clips
    found = shares(types, choose_mix(types, ids, TypeConfig(target={"driving": 0.1})))
    assert found["people"] / found["robot"] == pytest.approx(3.0, rel=0.1)


def test_the_order_of_the_clips_changes_nothing(clips):
    types, ids = clips
    config = TypeConfig(target={"driving": 0.2, "people": 0.4}, max_repeat=2)
    straight = dict(zip(ids, choose_mix(types, ids, config), strict=True))
    order = np.random.default_rng(1).permutation(N)
    mixed = choose_mix([types[k] for k in order], [ids[k] for k in order], config)
    assert {ids[k]: n for k, n in zip(order, mixed, strict=True)} == straight


def test_a_larger_share_only_adds_clips(clips):
    types, ids = clips
    small = choose_mix(types, ids, TypeConfig(target={"driving": 0.2, "people": 0.8}))
    large = choose_mix(types, ids, TypeConfig(target={"driving": 0.3, "people": 0.7}))
    assert all(b >= a for a, b, t in zip(small, large, types, strict=True) if t == "driving")


def test_another_seed_leaves_out_other_clips(clips):
    types, ids = clips
    one, two = (choose_mix(types, ids, TypeConfig(target={"driving": 0.2}, seed=s)) for s in (0, 1))
    assert sum(one) == sum(two)
    assert one != two


def test_without_a_target_every_clip_is_taken_once_and_a_missing_type_is_no_obstacle():
    assert choose_mix(["a", "b"], ["1", "2"], TypeConfig()) == [1, 1]
    assert choose_mix(["a", "a"], ["1", "2"], TypeConfig(target={"a": 0.5, "b": 0.5})) == [1, 1]
    assert choose_mix([], [], TypeConfig(target={"a": 1.0})) == []

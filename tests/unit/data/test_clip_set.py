import json

import numpy as np
import pytest

from worldfoundry.core.config import to_json
from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.clip_set import (
    NewClip,
    common_controls,
    open_clip_set,
    open_clip_sets,
    other_controls,
    write_clip_set,
)
from worldfoundry.protocols.control import ActionChannel, ActionSpec, ControlSpec, bridge_actions
from worldfoundry.protocols.held_out import EVALUATION_SEED


def clips(count, frames=5):
    rng = np.random.default_rng(0)
    for i in range(count):
        yield rng.integers(0, 256, (frames, 8, 8, 3), dtype=np.uint8), {"seed": i}


def test_a_set_reads_back_what_was_written(tmp_path):
    made = write_clip_set(tmp_path / "set", clips(3), num_clips=3, fps=10.0)
    assert [row["seed"] for row in made.rows] == [0, 1, 2]
    for kept, (clip, _) in zip(made.pixels, clips(3), strict=True):
        assert np.array_equal(kept, clip)
    again = write_clip_set(tmp_path / "again", clips(3), num_clips=3, fps=10.0)
    assert again.digest == made.digest


def test_a_set_appears_whole_or_not_at_all(tmp_path):
    def broken():
        yield from clips(2)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_clip_set(tmp_path / "set", broken(), num_clips=3, fps=10.0)
    with pytest.raises(DataError, match="promised 4"):
        write_clip_set(tmp_path / "set", clips(2), num_clips=4, fps=10.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [1, 12])
def test_a_set_of_unknown_length_is_the_same_file_that_numpy_writes(tmp_path, count):
    made = write_clip_set(tmp_path / "set", clips(count), fps=10.0)
    np.save(tmp_path / "numpy.npy", np.stack([clip for clip, _ in clips(count)]))
    assert (made.folder / "pixels.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()
    assert len(made) == len(made.rows) == count


def test_clips_that_are_not_alike_are_refused(tmp_path):
    (clip, row), wide = next(clips(1)), np.zeros((5, 8, 9, 3), np.uint8)
    for other in (wide, clip.astype(np.float32)):
        with pytest.raises(DataError, match=r"clip 1 of .* must be uint8 \[5, 8, 8, 3\]"):
            write_clip_set(tmp_path / "set", [(clip, row), (other, row)], fps=10.0)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_set_is_never_replaced(tmp_path):
    made = write_clip_set(tmp_path / "set", clips(1), num_clips=1, fps=10.0)
    with pytest.raises(DataError, match="must not exist"):
        write_clip_set(tmp_path / "set", clips(2), num_clips=2, fps=10.0)
    assert len(open_clip_set(made.folder)) == 1


def test_parts_that_disagree_are_an_error(tmp_path):
    made = write_clip_set(tmp_path / "set", clips(2), num_clips=2, fps=10.0)
    manifest = json.loads((made.folder / "manifest.json").read_text())
    (made.folder / "manifest.json").write_text(json.dumps(manifest | {"shape": [9, 5, 8, 8, 3]}))
    with pytest.raises(DataError, match="make the set again"):
        open_clip_set(made.folder)


def test_clips_too_short_or_at_another_rate_are_refused(tmp_path):
    made = write_clip_set(tmp_path / "set", clips(2), num_clips=2, fps=10.0)
    with pytest.raises(ConfigError, match="9 frames or more, got 5"):
        open_clip_sets([made.folder], num_frames=9)
    with pytest.raises(ConfigError, match="16x8 pixels, got 8x8"):
        open_clip_sets([made.folder], num_frames=5, size=(16, 8))
    with pytest.raises(ConfigError, match="32 pixels a side or more, got 8x8"):
        open_clip_sets([made.folder], num_frames=5, least_size=32)
    with pytest.raises(ConfigError, match=r"24\.0 fps, got 10\.0"):
        open_clip_sets([made.folder], num_frames=5, fps=24.0)


def test_clips_that_are_kept_for_evaluation_are_refused(tmp_path):
    pixels = next(clips(1))[0]
    for seed in (EVALUATION_SEED - 1, EVALUATION_SEED):
        write_clip_set(
            tmp_path / str(seed), [(pixels, {"seed": seed}), (pixels, {"source": "a.mp4"})], fps=10.0
        )
    assert len(open_clip_sets([tmp_path / str(EVALUATION_SEED - 1)], num_frames=5)) == 1
    with pytest.raises(ConfigError, match=r"1000000/?'.* seeds below 1000000, .*got 1000000"):
        open_clip_sets([tmp_path / str(EVALUATION_SEED)], num_frames=5)


def acting(count, width=7):
    for k, (pixels, row) in enumerate(clips(count)):
        yield NewClip(pixels, row, {"actions": np.full((5, width), k, np.float32)})


def test_arrays_and_controls_come_back_and_are_part_of_the_digest(tmp_path):
    controls = ControlSpec(actions=bridge_actions(rate_hz=10.0))
    made = write_clip_set(tmp_path / "set", acting(3), fps=10.0, controls=controls)
    assert made.arrays["actions"].shape == (3, 5, 7)
    assert (made.arrays["actions"][2] == 2).all()
    assert made.controls == controls
    plain = write_clip_set(tmp_path / "plain", clips(3), fps=10.0)
    assert plain.digest != made.digest
    assert plain.controls is None


def test_arrays_that_are_not_alike_are_refused(tmp_path):
    first, second = acting(2)
    for other, says in (
        (
            second._replace(arrays={}),
            r"got actions none beside float32 \[5, 7\]; give every clip the same, or leave them out \(--drop actions\)",
        ),
        (next(acting(1, width=6)), r"got actions float32 \[5, 6\] beside float32 \[5, 7\]"),
        (second._replace(arrays={"pixels": second.pixels}), "must have other names than 'pixels'"),
    ):
        with pytest.raises(DataError, match=says):
            write_clip_set(tmp_path / "set", [first, other], fps=10.0)
    with pytest.raises(DataError, match="clip 0"):
        short = first._replace(arrays={"actions": np.zeros((4, 7), np.float32)})
        write_clip_set(tmp_path / "set", [short], fps=10.0)


def test_a_missing_array_and_a_set_of_the_first_schema(tmp_path):
    made = write_clip_set(tmp_path / "set", acting(2), fps=10.0)
    (made.folder / "actions.npy").unlink()
    with pytest.raises(DataError, match=r"must be a clip set, got .*actions\.npy"):
        open_clip_set(made.folder)
    old = write_clip_set(tmp_path / "old", clips(2), fps=10.0)
    manifest = json.loads((old.folder / "manifest.json").read_text())
    first = {key: manifest[key] for key in ("fps", "shape", "digest")} | {"schema": 1}
    (old.folder / "manifest.json").write_text(json.dumps(first))
    assert len(open_clip_set(old.folder)) == 2


def test_sets_have_common_controls_only_if_all_have_the_same(tmp_path):
    one, other = (ControlSpec(actions=bridge_actions(rate_hz=r)) for r in (5.0, 10.0))
    sets = [
        write_clip_set(tmp_path / f"{k}", clips(1), fps=10.0, controls=controls)
        for k, controls in enumerate((one, one, other, None))
    ]
    assert common_controls(sets[:2]) == one
    assert common_controls(sets[1:3]) is None
    assert common_controls(sets[2:]) is None


def test_controls_of_other_actions_than_those_that_are_stored_are_refused(tmp_path):
    made = write_clip_set(tmp_path / "set", acting(2), fps=10.0)
    width = made.arrays["actions"].shape[-1]
    for rate, named, says in (
        (5.0, width, "must come at the 5 Hz"),
        (10.0, width + 1, f"must be the {width + 1} num"),
    ):
        channels = tuple(
            ActionChannel(name=f"a{k}", unit="m", frame="world", mode="delta") for k in range(named)
        )
        controls = ControlSpec(actions=ActionSpec(channels=channels, rate_hz=rate, per_latent=4))
        with pytest.raises(DataError, match=says):
            write_clip_set(tmp_path / "other", acting(2), fps=10.0, controls=controls)
        assert not (tmp_path / "other").exists()
        manifest = json.loads((made.folder / "manifest.json").read_text())
        (made.folder / "manifest.json").write_text(json.dumps(manifest | {"controls": to_json(controls)}))
        with pytest.raises(DataError, match=says):
            open_clip_set(made.folder)


def test_sets_whose_controls_differ_are_named_with_both_sides(tmp_path):
    one, other = (ControlSpec(actions=bridge_actions(rate_hz=r)) for r in (5.0, 10.0))
    sets = [
        write_clip_set(tmp_path / f"{k}", clips(1), fps=10.0, controls=controls)
        for k, controls in enumerate((one, one, other))
    ]
    assert other_controls(sets[:2]) == ""
    assert f"actions.rate_hz: {sets[0].folder} 5.0, {sets[2].folder} 10.0" in other_controls(sets)

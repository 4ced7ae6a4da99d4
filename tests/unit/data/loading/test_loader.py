"""Loading: resumed equals straight, workers equal none, ranks together equal one; damage is told."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from worldfoundry.core.errors import CheckpointError, ConfigError, DataError
from worldfoundry.data.clip_set import open_clip_set, write_clip_set
from worldfoundry.data.loading.buckets import Bucket, Entry
from worldfoundry.data.loading.fit import fitted, size_inside
from worldfoundry.data.loading.loader import Batch, ClipLoader, LoaderConfig
from worldfoundry.data.loading.plan import PlanConfig
from worldfoundry.data.loading.source import ClipSetSource, FileSource, Sample
from worldfoundry.data.video_io import read_video
from worldfoundry.data.video_write import write_video
from worldfoundry.protocols.frames import Frames

BUCKET = Bucket(height=16, width=16, num_frames=3)
CONFIG = LoaderConfig(plan=PlanConfig(buckets=(BUCKET,), batch_size=4, seed=3))


class Numbers:
    """Clips whose pixels are their number; some cannot be read, some have broken actions."""

    name, digest = "numbers", "numbers-1"

    def __init__(self, count: int = 10, *, broken: tuple[int, ...] = (), nan: tuple[int, ...] = ()):
        self.entries = [Entry(num_frames=6, height=16, width=16, fps=10.0)] * count
        self.broken, self.nan = broken, nan

    def read(self, clip: int, first: int, num_frames: int, *, size: tuple[int, int]) -> Sample:
        assert size == (16, 16)
        length = num_frames - 1 if clip in self.broken else num_frames
        actions = np.full((length, 2), np.nan if clip in self.nan else float(first), np.float32)
        return Sample(
            pixels=np.full((length, 16, 16, 3), clip, np.uint8),
            fps=10.0,
            name=f"clip {clip}",
            arrays={"actions": actions},
            facts={"caption": f"number {clip}"},
        )


def take(loader: ClipLoader, count: int) -> list[Batch]:
    return list(itertools.islice(loader, count))


def told(batches: list[Batch]) -> list[list[tuple[str, float]]]:
    return [list(zip(b.names, b.arrays["actions"][:, 0, 0].tolist(), strict=True)) for b in batches]


def test_a_resumed_loader_goes_on_at_the_very_next_batch():
    straight = take(ClipLoader([Numbers()], CONFIG), 13)
    first = ClipLoader([Numbers()], CONFIG)
    before = take(first, 6)  # in the middle of the second pass
    second = ClipLoader([Numbers()], CONFIG)
    second.load_state_dict(first.state_dict())
    after = take(second, 7)
    assert told(before + after) == told(straight)
    assert [b.number for b in before + after] == list(range(13))
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(before + after, straight, strict=True))


def test_workers_change_nothing(tmp_path):
    rng = np.random.default_rng(0)
    clips = [(rng.integers(0, 255, (6, 20, 20, 3), dtype=np.uint8), {"k": k}) for k in range(5)]
    source = ClipSetSource(write_clip_set(tmp_path / "set", clips, fps=10.0))
    here = take(ClipLoader([source], CONFIG), 5)
    there = take(ClipLoader([source], replace(CONFIG, workers=2)), 5)
    for a, b in zip(here, there, strict=True):
        assert a.names == b.names
        assert a.facts == b.facts
        assert torch.equal(a.pixels, b.pixels)


def test_all_ranks_together_see_the_batches_of_one():
    whole = take(ClipLoader([Numbers()], CONFIG), 5)
    parts = [take(ClipLoader([Numbers()], CONFIG, rank=r, world_size=2), 5) for r in range(2)]
    for k, batch in enumerate(told(whole)):
        assert batch == [x for pair in zip(*(told(p)[k] for p in parts), strict=True) for x in pair]
    with pytest.raises(ConfigError, match="batch_size must be a multiple of the 3 ranks"):
        ClipLoader([Numbers()], CONFIG, rank=0, world_size=3)


def test_loading_takes_no_random_number_of_others():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    take(ClipLoader([Numbers()], CONFIG), 2)
    assert torch.equal(torch.rand(3), expected)


def test_other_data_is_not_gone_on_with():
    state = ClipLoader([Numbers()], CONFIG).state_dict()
    for other in (
        ClipLoader([Numbers(9)], CONFIG),
        ClipLoader([Numbers()], replace(CONFIG, plan=replace(CONFIG.plan, seed=4))),
    ):
        with pytest.raises(CheckpointError, match="must be that of this data and these settings"):
            other.load_state_dict(state)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (Numbers(broken=(4,)), "clip 4 must hold the 3 frames of its window, got 2; "),
        (Numbers(nan=(4,)), r"clip 4: actions must be finite, got \[nan, nan\] in row 0 of the window; "),
    ],
)
def test_damage_stops_the_run_or_is_told_and_replaced(source, says):
    with pytest.raises(DataError, match=says):
        take(ClipLoader([source], CONFIG), 5)
    runs = []
    for workers in (0, 1):
        loader = ClipLoader([source], replace(CONFIG, on_damage="skip", workers=workers))
        runs.append(told(take(loader, 5)))
        assert len(loader.damaged) >= 2  # both windows of the clip, in one pass
        assert all("clip 4" in text for text in loader.damaged)
    assert runs[0] == runs[1]
    assert not any("clip 4" in name for batch in runs[0] for name, _ in batch)
    sound = told(take(ClipLoader([Numbers()], CONFIG), 5))
    assert all(
        a == b
        for x, y in zip(sound, runs[0], strict=True)
        for a, b in zip(x, y, strict=True)
        if a[0] != "clip 4"
    )


def test_a_source_that_is_all_damage_ends_even_a_run_that_skips():
    loader = ClipLoader([Numbers(broken=tuple(range(10)))], replace(CONFIG, on_damage="skip"))
    with pytest.raises(
        DataError, match="bucket 3 x 16x16 must hold windows that can be read, got 20 in a row"
    ):
        take(loader, 1)


def test_a_window_of_a_file_has_the_frames_of_the_whole_video(tmp_path):
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 255, (14, 4, 4, 3), dtype=np.uint8)
    video = Frames.at_constant_rate(coarse.repeat(8, 1).repeat(8, 2), 12.5)
    write_video(tmp_path / "a.mp4", video)
    source = FileSource([tmp_path / "a.mp4"], name="files")
    assert source.entries == [Entry(num_frames=14, height=32, width=32, fps=12.5)]
    whole = read_video(tmp_path / "a.mp4").pixels
    for first in (0, 1, 5, 11):
        assert np.array_equal(source.read(0, first, 3, size=(32, 32)).pixels, whole[first : first + 3])


def test_a_file_that_is_none_stops_or_is_told(tmp_path):
    write_video(tmp_path / "a.mp4", Frames.at_constant_rate(np.zeros((4, 16, 16, 3), np.uint8), 10.0))
    (tmp_path / "b.mp4").write_bytes(b"no video")
    files = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    with pytest.raises(DataError, match=r"b\.mp4"):
        FileSource(files, name="files")
    source = FileSource(files, name="files", on_damage="skip")
    assert len(source.entries) == 1
    assert "b.mp4" in source.damaged[0]


def test_padding_reflects_and_says_where():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (2, 12, 20, 3), dtype=np.uint8)
    bucket = Bucket(height=20, width=20, num_frames=2)
    padded, mask = fitted(pixels, bucket, size_inside(12, 20, bucket, "pad"))
    assert np.array_equal(padded[:, :12], pixels)
    assert np.array_equal(padded[:, 12], pixels[:, 10])
    assert np.array_equal(mask, np.arange(20)[:, None].repeat(20, 1) >= 12)
    bucket = Bucket(height=12, width=12, num_frames=2)
    cropped, mask = fitted(pixels, bucket, size_inside(12, 20, bucket, "crop"))
    assert np.array_equal(cropped, pixels[:, :, 4:16])
    assert not mask.any()


def test_a_clip_set_keeps_its_rows(tmp_path):
    clips = [(np.full((6, 16, 16, 3), k, np.uint8), {"caption": f"c{k}"}) for k in range(3)]
    write_clip_set(tmp_path / "set", clips, fps=7.0)
    batch = take(ClipLoader([ClipSetSource(open_clip_set(tmp_path / "set"))], CONFIG), 1)[0]
    for pixels, facts, fps in zip(batch.pixels, batch.facts, batch.fps.tolist(), strict=True):
        assert facts["caption"] == f"c{int(pixels[0, 0, 0, 0])}"
        assert fps == 7.0


class Bodies(Numbers):
    """Clips with as many bodies as their number says."""

    def read(self, clip: int, first: int, num_frames: int, *, size: tuple[int, int]) -> Sample:
        sample = super().read(clip, first, num_frames, size=size)
        return replace(sample, arrays={**sample.arrays, "bodies": np.zeros((num_frames, clip + 1, 3))})


def test_arrays_of_other_shapes_are_left_out_of_a_batch_and_those_that_are_needed_are_asked_for():
    (batch,) = take(ClipLoader([Bodies()], CONFIG), 1)
    assert batch.arrays.keys() == {"actions"}
    with pytest.raises(
        DataError, match=r"clip \d must have camera for each frame, got actions; remove the clip"
    ):
        take(ClipLoader([Numbers()], replace(CONFIG, needs=("actions", "camera"))), 1)

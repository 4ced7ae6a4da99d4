"""The order of batches: nothing is lost, nothing comes twice too early, and n decides everything."""

from collections import Counter

import pytest

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.data.loading.buckets import Bucket, Entry, aspect_buckets, bucket_of
from worldfoundry.data.loading.plan import BatchPlan, PlanConfig

SQUARE, WIDE = Bucket(height=32, width=32, num_frames=9), Bucket(height=24, width=40, num_frames=9)
LONG, IMAGE = Bucket(height=32, width=32, num_frames=17), Bucket(height=32, width=32, num_frames=1)


def entry(num_frames: int = 9, height: int = 32, width: int = 32) -> Entry:
    return Entry(num_frames=num_frames, height=height, width=width, fps=10.0)


def windows_of(plan: BatchPlan, numbers: range) -> list[tuple[int, int, int]]:
    return [(w.source, w.clip, w.first) for n in numbers for w in plan.batch(n)[1]]


def test_every_window_comes_once_before_any_comes_again():
    sources = [[entry(9), entry(20), entry(30)], [entry(27)]]
    plan = BatchPlan(sources, PlanConfig(buckets=(SQUARE,), batch_size=3))
    assert plan.num_windows == 1 + 2 + 3 + 3
    seen = windows_of(plan, range(3))
    assert sorted(seen) == [
        (0, 0, 0),
        (0, 1, 0),
        (0, 1, 9),
        *((0, 2, k) for k in (0, 9, 18)),
        *((1, 0, k) for k in (0, 9, 18)),
    ]
    again = windows_of(plan, range(3, 6))
    assert sorted(again) == sorted(seen)
    assert again != seen


def test_windows_that_fill_no_batch_come_in_the_next_pass():
    plan = BatchPlan([[entry()] * 7], PlanConfig(buckets=(SQUARE,), batch_size=4))
    counts = Counter(windows_of(plan, range(14)))  # 7 passes of 8, over 7 windows
    assert set(counts.values()) == {8}


def test_a_bucket_smaller_than_a_batch_is_not_forgotten():
    sources = [[entry()] * 20 + [entry(height=24, width=40)]]
    plan = BatchPlan(sources, PlanConfig(buckets=(SQUARE, WIDE), batch_size=4))
    shapes = Counter(plan.batch(n)[0] for n in range(60))
    assert shapes[WIDE] == 10
    assert shapes[SQUARE] == 50


def test_sources_have_the_shares_that_were_asked_for():
    plan = BatchPlan(
        [[entry()] * 90, [entry()] * 10], PlanConfig(buckets=(SQUARE,), batch_size=10, shares=(1.0, 3.0))
    )
    counts = Counter(w[0] for w in windows_of(plan, range(100)))
    assert counts == {0: 250, 1: 750}


def test_batch_n_is_the_same_whoever_asks_and_in_whatever_order():
    sources = [[entry(k) for k in range(9, 60)]]
    config = PlanConfig(buckets=(SQUARE, LONG), batch_size=4, hop_frames=3, seed=5)
    one, other = BatchPlan(sources, config), BatchPlan(sources, config)
    forwards = [one.batch(n) for n in range(120)]
    backwards = [other.batch(n) for n in reversed(range(120))][::-1]
    assert forwards == backwards
    assert one.digest == other.digest
    assert [
        BatchPlan(sources, PlanConfig(buckets=(SQUARE, LONG), batch_size=4, hop_frames=3)).batch(n)
        for n in range(120)
    ] != forwards


def test_each_nth_batch_is_one_of_images():
    sources = [[entry()] * 12, [entry(num_frames=1)] * 5]
    plan = BatchPlan(sources, PlanConfig(buckets=(SQUARE, IMAGE), batch_size=2, image_every=3))
    shapes = [plan.batch(n)[0] for n in range(12)]
    assert [n for n, s in enumerate(shapes) if s == IMAGE] == [2, 5, 8, 11]
    videos = [w for n in range(9) if (n + 1) % 3 for w in plan.batch(n)[1]]
    assert len(set(videos)) == 12  # one pass of the videos: images in between take nothing from it


def test_a_clip_goes_to_the_nearest_aspect_then_the_largest_then_the_longest():
    small = Bucket(height=16, width=16, num_frames=9)
    buckets = (small, SQUARE, LONG, WIDE)
    assert bucket_of(entry(9), buckets) == 1
    assert bucket_of(entry(17), buckets) == 2
    assert bucket_of(entry(9, 20, 20), buckets) == 0
    assert bucket_of(entry(9, 24, 40), buckets) == 3
    assert bucket_of(entry(9, 8, 8), buckets) is None
    assert bucket_of(entry(9, 8, 8), buckets, enlarge=True) == 1
    assert bucket_of(entry(5), buckets) is None
    assert bucket_of(entry(1), buckets) is None


def test_buckets_of_the_five_aspects_have_about_one_size():
    for b in aspect_buckets(pixels=256 * 256, num_frames=33):
        assert b.height % 16 == b.width % 16 == 0
        assert 0.85 < b.height * b.width / 256**2 < 1.15


def test_what_no_bucket_takes_is_counted_and_a_source_without_any_is_an_error():
    plan = BatchPlan([[entry(), entry(3)]], PlanConfig(buckets=(SQUARE,), batch_size=1))
    assert plan.left_out == 1
    with pytest.raises(
        DataError,
        match=r"source 1 must hold a clip for one of the buckets 9 x 32x32 .*, got 1 clips such as 3 x",
    ):
        BatchPlan([[entry()], [entry(3)]], PlanConfig(buckets=(SQUARE,), batch_size=1))
    with pytest.raises(DataError, match="must hold images for batches of images, got none"):
        BatchPlan([[entry()]], PlanConfig(buckets=(SQUARE, IMAGE), batch_size=1, image_every=2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"buckets": ()}, "buckets must name at least one shape"),
        ({"buckets": (SQUARE, SQUARE)}, "buckets must differ"),
        ({"image_every": 1}, "image_every must be 0, or 2 and above, got 1"),
        ({"shares": (0.0,)}, "shares must be above 0"),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        PlanConfig(**{"buckets": (SQUARE,), "batch_size": 1, **settings})

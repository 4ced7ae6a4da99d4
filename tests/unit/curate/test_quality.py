import math
from itertools import islice, pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from tests.unit.curate.looks_views import scene, timeline_of

from worldfoundry.curate.config import QualityConfig
from worldfoundry.curate.detect import quality, quality_light, quality_texture
from worldfoundry.curate.detect.quality import DEFECTS, QualityDetector, score
from worldfoundry.curate.detect.quality_change import NUM_CHANGE, changes


def _still(picture: np.ndarray) -> quality.QualityScores:
    return score(timeline_of(QualityDetector(), [picture], 1.0), 0.0, 1.0)


def _noisy(picture: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(5).normal(0, 1, picture.shape)
    return np.clip(picture + sigma * noise, 0, 255).astype(np.uint8)


def _jpeg(picture: np.ndarray, level: int) -> np.ndarray:
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, level])[1]
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def _enlarged(picture: np.ndarray, ratio: float) -> np.ndarray:
    h, w = picture.shape[:2]
    small = cv2.resize(picture, (round(w / ratio), round(h / ratio)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)


LADDERS = {
    "blur": (lambda p, s: cv2.GaussianBlur(p, (0, 0), s), (1.2, 2.0, 3.5)),
    "noise": (_noisy, (6, 14, 28)),
    "compression": (_jpeg, (25, 12, 5)),
    "upscaled": (_enlarged, (1.7, 2.5, 4.0)),
    "exposure_over": (lambda p, s: np.clip(p * s, 0, 255).astype(np.uint8), (1.6, 2.4, 3.6)),
    "exposure_under": (lambda p, s: (p * s).astype(np.uint8), (0.4, 0.2, 0.08)),
}


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_more_of_a_defect_never_looks_better(defect: str, seed: int):
    degrade, steps = LADDERS[defect]
    picture = scene(seed=seed)
    ladder = [_still(picture), *(_still(degrade(picture, step)) for step in steps)]
    own = [getattr(s, defect) for s in ladder]
    overall = [s.quality for s in ladder]
    assert all(b >= a - 0.02 for a, b in pairwise(own)), own
    assert all(b <= a + 0.02 for a, b in pairwise(overall)), overall
    assert own[-1] > own[0] + 0.3
    assert overall[-1] < 0.3 < overall[0]


def test_quality_falls_with_each_defect_alone():
    clean = np.full(len(DEFECTS), -3.0)
    for i in range(len(DEFECTS)):
        worse = [quality.combine(clean + step * np.eye(len(DEFECTS))[i]) for step in (0, 1, 3, 6)]
        assert worse == sorted(worse, reverse=True)
        assert len(set(worse)) == 4


def test_the_frame_rate_does_not_matter():
    pictures = [scene(seed=s) for s in range(4)]
    results = []
    for fps in (15.0, 30.0, 60.0):
        frames = [pictures[int(i / fps)] for i in range(int(4 * fps))]
        results.append(score(timeline_of(QualityDetector(), frames, fps), 0.0, 4.0).quality)
    assert max(results) - min(results) < 1e-9


def _frame(samples: Path, name: str) -> np.ndarray:
    with av.open(str(samples / name)) as container:
        return list(islice(container.decode(video=0), 10))[-1].to_ndarray(format="rgb24")


@pytest.mark.parametrize("name", ["driving.mp4", "robot-arm.mp4"])
def test_shrinking_a_picture_is_no_defect_but_enlarging_it_is(samples: Path, name: str):
    picture = _frame(samples, name)
    h, w = picture.shape[:2]
    half = cv2.resize(picture, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
    back = cv2.resize(half, (w, h), interpolation=cv2.INTER_CUBIC)
    assert _still(half).upscaled < _still(back).upscaled - 0.2
    assert _still(half).quality > _still(back).quality + 0.2


@pytest.mark.parametrize("name", ["driving.mp4", "robot-arm.mp4", "hands-cups.mp4", "static-camera.mp4"])
def test_real_footage_is_kept_by_default_and_spoilt_footage_is_not(samples: Path, name: str):
    picture, least = _frame(samples, name), QualityConfig().min
    assert _still(picture).quality >= least
    spoilt = {defect: degrade(picture, steps[-1]) for defect, (degrade, steps) in LADDERS.items()}
    kept = {defect for defect, bad in spoilt.items() if _still(bad).quality >= least}
    assert not kept


def test_a_span_depends_on_its_own_samples_only():
    good, bad = scene(), cv2.GaussianBlur(scene(), (0, 0), 4)
    timeline = timeline_of(QualityDetector(), [good] * 30 + [bad] * 30, 10.0)
    assert score(timeline, 0.0, 3.0) == score(timeline_of(QualityDetector(), [good] * 30, 10.0), 0.0, 3.0)
    assert score(timeline, 0.0, 3.0).quality > score(timeline, 3.0, 6.0).quality + 0.3


def test_a_span_without_samples_is_not_measurable():
    scores = score(timeline_of(QualityDetector(), [scene()], 1.0), 5.0, 6.0)
    assert all(math.isnan(v) for v in (scores.quality, scores.blur, scores.frozen))
    assert math.isnan(score(timeline_of(QualityDetector(), [], 1.0), 0.0, 1.0).quality)


def test_repeated_frames_are_counted_and_moving_ones_are_not():
    moving = [np.roll(scene(), 3 * i, axis=1) for i in range(20)]
    assert score(timeline_of(QualityDetector(), [scene()] * 20, 10.0), 0.0, 2.0).frozen == 1.0
    assert score(timeline_of(QualityDetector(), moving, 10.0), 0.0, 2.0).frozen == 0.0


@pytest.mark.parametrize("size", [(2, 2), (17, 300), (64, 64), (1080, 1920)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_any_size_and_any_flat_picture_gives_finite_scores(size: tuple[int, int], level: int):
    picture = np.full(size, level, np.uint8)
    tiles = quality.tiles_of(picture)
    features = quality.measure(tiles, picture)
    assert features.shape == (quality.NUM_FEATURES,)
    assert np.isnan(features[quality.CHANGE]).all()
    features[quality.CHANGE] = changes(tiles, tiles // 2)
    assert np.isfinite(features).all()


def test_the_same_frames_give_the_same_timeline():
    one, two = (timeline_of(QualityDetector(), [scene()] * 12, 6.0) for _ in range(2))
    assert all(np.array_equal(one[k], two[k], equal_nan=True) for k in one)


def _field(sigma: float, gain: float, seed: int = 2, size: tuple[int, int] = (96, 144)) -> np.ndarray:
    """Noise of one grain size, float32 [h, w] with mean 0 and deviation ``gain``."""
    noise = np.random.default_rng(seed).normal(0, 1, size).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sigma)
    return gain * noise / noise.std()


def _coded(grey: np.ndarray, level: int) -> np.ndarray:
    picture = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return _jpeg(picture, level)[..., 0].astype(np.float32)


def test_codec_grids_leave_steps_at_their_borders():
    sharp = 128 + _field(1.0, 11)
    blocky = _coded(sharp, 10)
    for across in (0, 5):
        assert (
            quality_texture.phases(blocky[None])[across] > quality_texture.phases(sharp[None])[across] + 0.1
        )


def test_enlargement_ends_the_spectrum_early_whatever_the_contrast():
    sharp = 128 + _field(0.8, 25)
    enlarged = cv2.resize(sharp[:48, :72], (144, 96), interpolation=cv2.INTER_CUBIC)
    end = slice(7, 11)  # frequencies from 13 / 32 to the limit, along rows
    tails = [
        np.mean(quality_texture.spectra(x[None])[end]) for x in (sharp, (sharp - 128) / 2 + 128, enlarged)
    ]
    assert abs(tails[0] - tails[1]) < 0.3
    assert tails[2] < tails[0] - 2


def test_coarse_quantisers_erase_faint_detail_sooner_than_strong_detail():
    lost = []
    for detail in (10, 25):
        picture = 128 + _field(3.0, 30, seed=1) + _field(0.8, detail)
        fine, coarse = (quality_texture.curves(_coded(picture, level)[None])[-2] for level in (95, 15))
        lost.append(fine - coarse)
    assert lost[0] > lost[1] + 0.15 > 0.15


def test_change_follows_motion_and_tells_noise_from_texture():
    world = (128 + _field(1.0, 25, size=(80, 128))).astype(np.uint8)
    here, moved, far = (world[None, 8:72, k : k + 112] for k in (4, 6, 14))
    median = 2
    assert changes(here, moved)[median] < changes(here, far)[median] - 1
    grain = np.random.default_rng(4).normal(0, 4, (2, 1, 64, 112))
    still, grainy = (here, here), [np.clip(128 + g, 0, 255).astype(np.uint8) for g in grain]
    ratio, stayed = 13, 20
    assert changes(*grainy)[ratio] > changes(*still)[ratio] + 2
    assert changes(*grainy)[stayed] < 0.3 < changes(*still)[stayed] == 1.0
    assert len(changes(here, moved)) == NUM_CHANGE


def test_change_is_measured_to_the_next_other_frame_only():
    frames = [scene(seed=1), scene(seed=1), _noisy(scene(seed=1), 5)]
    measured = timeline_of(QualityDetector(), frames, 10.0)["features"]
    assert np.isfinite(measured).all()
    assert np.array_equal(measured, timeline_of(QualityDetector(), frames[1:], 10.0)["features"])
    for frames_a, fps in (([scene()] * 5, 10.0), ([scene(), _noisy(scene(), 5)], 1.5)):
        features = timeline_of(QualityDetector(), frames_a, fps)["features"]
        assert np.isnan(features[0, quality.CHANGE]).all()
        assert np.isfinite(quality.defect_logits(features)).all()


def test_burnt_lights_have_less_texture_than_kept_ones():
    noise = np.random.default_rng(3).normal(0, 8, (64, 112)).astype(np.float32)
    kept = np.linspace(60, 200, 112, dtype=np.float32)[None] + noise
    burnt = np.minimum(kept * 1.8, 255)
    assert quality_light.lights(burnt[None])[0] < quality_light.lights(kept[None])[0] - 1

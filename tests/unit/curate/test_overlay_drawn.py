from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.unit.curate.looks_views import scene, timeline_of

from worldfoundry.curate.config import OverlayConfig
from worldfoundry.curate.detect import overlay, overlay_drawn
from worldfoundry.curate.labelled.looks_clips import decode
from worldfoundry.curate.labelled.looks_clips import timeline_of as timeline_of_views


@pytest.mark.parametrize("block", [1, 100, 1 << 18])
@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize(("size", "stride"), [((9, 12), 1), ((9, 12), 2), ((8, 7), 2), ((13, 12), 3)])
def test_a_convolution_is_the_sum_of_shifted_products(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], stride: int, taps: int, block: int
):
    monkeypatch.setattr(overlay_drawn, "_BLOCK", block)
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(2, *size)), rng.normal(size=(3, 2, taps, taps)), rng.normal(size=3)
    whole = [
        sum(cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_CONSTANT) for plane, kernel in zip(x, k, strict=True)) + b
        for k, b in zip(weight, bias, strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(
        overlay_drawn.convolve(x, weight, bias, stride), np.stack(whole)[:, ::stride, ::stride], atol=1e-9
    )


def test_logits_survive_the_timeline():
    logits = np.linspace(-9, 9, 101)
    assert np.abs(overlay_drawn.restore(overlay_drawn.quantise(logits)) - logits).max() < 0.05
    assert (overlay_drawn.restore(overlay_drawn.quantise(np.array([-99.0, 99.0]))) * [-1, 1] > 10).all()


def _words(picture: np.ndarray) -> np.ndarray:
    out = picture.copy()
    for colour, thickness in (((10, 10, 10), 4), ((255, 255, 255), 2)):
        cv2.putText(
            out,
            "words of a subtitle",
            (150, 320),
            cv2.FONT_HERSHEY_DUPLEX,
            0.9,
            colour,
            thickness,
            cv2.LINE_AA,
        )
    return out


def _filmed(picture: np.ndarray, num_frames: int) -> list[np.ndarray]:
    """Before a fixed camera: out of focus a little, and noisy."""
    rng = np.random.default_rng(1)
    soft = cv2.GaussianBlur(picture, (0, 0), 1.2).astype(np.float32)
    return [
        np.clip(soft + rng.normal(0, 3, (*soft.shape[:2], 1)), 0, 255).astype(np.uint8)
        for _ in range(num_frames)
    ]


def _slanted(picture: np.ndarray) -> np.ndarray:
    """The words as on a board that is seen at an angle."""
    h, w = picture.shape[:2]
    written = _words(picture)
    turn = cv2.getRotationMatrix2D((w / 2, 310), 14, 0.8)
    turn[1, 2] -= 130
    cover = cv2.warpAffine(np.float32(np.abs(written.astype(int) - picture).max(-1) > 20), turn, (w, h))
    return (
        picture * (1 - cover[..., None]) + cv2.warpAffine(written, turn, (w, h)) * cover[..., None]
    ).astype(np.uint8)


@pytest.mark.parametrize("seed", [0, 1])
def test_drawn_words_are_told_from_filmed_words_where_nothing_moves(seed: int):
    def of(frames: list[np.ndarray]) -> float:
        return overlay.score(timeline_of(overlay.OverlayDetector(), frames, 4.0), 0.0, 9.0).overlay_text

    bare = scene(seed=seed)
    drawn = of([_words(f) for f in _filmed(bare, 12)])
    filmed = of(_filmed(_slanted(bare), 12))
    assert drawn > filmed + 0.2
    assert filmed < OverlayConfig().max


def test_labels_on_bottles_before_a_fixed_camera_are_no_overlay(samples: Path):
    timeline = timeline_of_views(overlay.OverlayDetector(), decode(samples / "static-camera.mp4"))
    for start in np.arange(0.0, timeline["seconds"][-1] - 2, 2.0):
        assert overlay.score(timeline, start, start + 5).overlay_text < OverlayConfig().max

"""What ``worldfoundry tokenize`` and its relatives refuse: with which words, which exit code, and before which work."""

import numpy as np
import pytest
import torch
from tests.unit.cli.test_tokenize import CI, CV, DV, film, make, run

from worldfoundry.cli import tokenize_work
from worldfoundry.cli.main import main
from worldfoundry.data.video_write import write_image, write_video
from worldfoundry.evaluate.tokenizer_checks import latent_bits
from worldfoundry.evaluate.tokenizer_config import TokenizerSuiteConfig
from worldfoundry.models.pretrained.release import load_tokenizer
from worldfoundry.protocols.frames import Frames


@pytest.fixture
def clip(tmp_path):
    return film(tmp_path / "a.mp4", num_frames=29)


@pytest.fixture
def model(tmp_path):
    return make(tmp_path / "m", CV)


def said(capsys, code, *line):
    assert main([*map(str, line)]) == code
    return capsys.readouterr().err


@pytest.mark.parametrize("direction", ["encode", "decode", "roundtrip"])
@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--chunk-frames", 0), "error: --chunk-frames must be at least 1, got 0"),
        (("--attended-latents", -1), "error: --attended-latents must be at least 0, got -1"),
        (("--tile", -8), "error: --tile must be at least 0, got -8"),
    ],
)
def test_options_that_break_a_rule_are_told_by_name_before_any_work(
    tmp_path, capsys, direction, option, says
):
    out = tmp_path / ("z.safetensors" if direction == "encode" else "b.mp4")
    assert says in said(capsys, 2, "tokenize", direction, tmp_path / "none.mp4", "--out", out, *option)


def test_options_that_do_not_fit_the_tokenizer_are_errors_of_the_command_line(tmp_path, capsys, clip, model):
    image = make(tmp_path / "i", CI)
    line = ["tokenize", "encode", clip, "--cut", "--out", tmp_path / "z.safetensors"]
    assert "error: --tile must be a multiple" in said(capsys, 2, *line, "--model", model, "--tile", 60)
    attended = ("--model", image, "--attended-latents", 2)
    assert "error: --attended-latents must be 0 for an image tokenizer" in said(capsys, 2, *line, *attended)


@pytest.mark.parametrize(
    "line",
    [
        ["models", "show", "nope"],
        ["models", "convert", "nope", "--out", "new"],
        ["tokenize", "encode", "a.mp4", "--model", "nope", "--out", "new.safetensors"],
        ["train", "wavetok-c-t4s8z16-nano-debug", "--init-from", "nope"],
    ],
)
def test_a_name_that_is_not_known_is_an_error_of_the_command_line(line, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "error: unknown model 'nope'" in said(capsys, 2, *line)


def test_a_world_where_a_tokenizer_is_wanted_is_called_one(tmp_path, capsys, clip):
    line = ["tokenize", "encode", clip, "--out", tmp_path / "z.safetensors", "--model", "dit-v2w-nano"]
    assert "'dit-v2w-nano' must be a tokenizer, got a diffusion-world" in said(capsys, 1, *line)


def test_an_image_that_cannot_be_used_is_not_called_a_video(tmp_path, capsys, model):
    line = ["--model", model, "--out", tmp_path / "z.safetensors"]
    for name, content in (("none.png", None), ("empty.png", b""), ("torn.JPG", b"\xff\xd8\xff\xe0 torn")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        found = said(capsys, 1, "tokenize", "encode", tmp_path / name, *line)
        assert f"{name} must be a" in found
        assert "image" in found
        assert "video" not in found
    assert "none.mp4 must be a video" in said(capsys, 1, "tokenize", "encode", tmp_path / "none.mp4", *line)


def test_damage_is_found_before_the_first_piece_is_encoded(tmp_path, capsys, model, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (61, 32, 32, 3), dtype=np.uint8)
    write_video(tmp_path / "a.mp4", Frames.at_constant_rate(noise, 10.0))
    content, torn = (tmp_path / "a.mp4").read_bytes(), tmp_path / "torn.mp4"
    monkeypatch.setattr(tokenize_work.Coder, "encode", lambda *_: pytest.fail("work was done first"))
    line = ["--model", model, "--chunk-frames", 4, "--out", tmp_path / "z.safetensors"]
    torn.write_bytes(content[: len(content) * 2 // 3])
    assert "torn.mp4 must be a whole video" in said(capsys, 1, "tokenize", "encode", torn, *line)
    middle, count = len(content) // 2, len(content) // 10
    torn.write_bytes(content[:middle] + bytes(count) + content[middle + count :])
    assert "torn.mp4 must be a whole video" in said(capsys, 1, "tokenize", "encode", torn, *line)


def test_frames_that_are_missing_at_the_end_are_found_before_the_work(clip, tmp_path, monkeypatch):
    from worldfoundry.core.errors import DataError
    from worldfoundry.inference import pieces

    spec = load_tokenizer("wavetok-c-t4s8z16-nano").spec
    plan = pieces.plan_pieces(clip, spec, cut=True, frames_at_once=4)
    pieces.check_decodes(plan)
    real = pieces.iter_frames
    monkeypatch.setattr(pieces, "iter_frames", lambda path, max_frames: list(real(path, max_frames=20)))
    with pytest.raises(DataError, match="a frame for each of its packets, 29, got 20"):
        pieces.check_decodes(plan)


def test_chunk_frames_that_are_rounded_are_told(tmp_path, capsys, clip, model):
    latents = tmp_path / "z.safetensors"
    for frames, says in (
        (6, "--chunk-frames 6 is 4 here, a multiple of the temporal stride 4"),
        (3, "3 is 4"),
        (8, ""),
    ):
        line = ["--model", model, "--chunk-frames", frames, "--overwrite"]
        found = said(capsys, 0, "tokenize", "encode", clip, *line, "--out", latents)
        assert says in found if says else "--chunk-frames" not in found
        found = said(capsys, 0, "tokenize", "decode", latents, *line, "--out", tmp_path / "b.mp4")
        assert says in found if says else "--chunk-frames" not in found


@pytest.mark.parametrize("name", [CV, DV])
def test_bits_a_pixel_are_those_of_the_evaluation(tmp_path, capsys, clip, name):
    model = make(tmp_path / "other", name)
    tokenizer = load_tokenizer(model)
    latents = tokenizer.encode(torch.zeros(1, 3, 29, 32, 48))
    counted = latent_bits(tokenizer.spec, latents.numel(), bits_per_number=TokenizerSuiteConfig().latent_bits)
    found = run(capsys, "roundtrip", clip, "--model", model, "--out", tmp_path / "b.mp4")
    assert found["bits_per_pixel"] == pytest.approx(counted / (29 * 32 * 48), abs=1e-4)


def test_a_progress_bar_runs_where_somebody_looks(tmp_path, capsys, clip, model, monkeypatch):
    shown = []

    class Bars(tokenize_work.Progress):
        def __init__(self, *, console, disable):
            shown.append(disable)
            super().__init__(console=console, disable=True)

    monkeypatch.setattr(tokenize_work, "Progress", Bars)
    for is_terminal in (True, False):
        monkeypatch.setattr("sys.stderr.isatty", lambda is_terminal=is_terminal: is_terminal)
        latents = tmp_path / f"{is_terminal}.safetensors"
        run(capsys, "encode", clip, "--model", model, "--out", latents)
        run(capsys, "decode", latents, "--model", model, "--out", tmp_path / f"{is_terminal}.mp4")
    assert shown == [False, False, True, True]


def test_every_folder_of_data_that_is_missing_is_named_at_once(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = said(capsys, 1, "train", "wavetok-c-t4s8z16-nano")
    assert all(name in found for name in ("'datasets/sim-tok'", "'datasets/real-10'", "'datasets/real-5'"))
    assert not (tmp_path / "runs").exists()


def test_a_start_of_another_size_and_a_device_that_is_not_there_are_told_before_the_data(capsys):
    line = ["train", "wavetok-c-t4s8z16-nano-debug", "--init-from", "wavetok-c-t4s8z16-nano"]
    for more in ([], ["--dry-run"]):
        found = said(capsys, 2, *line, *more)
        assert "error: --init-from must be a model of the recipe's configuration" in found
        assert "channels 96 there and 16 here" in found
    if not torch.cuda.is_available():
        assert "error: --device must be a device of this machine" in said(
            capsys, 2, "train", "wavetok-c-t4s8z16-nano", "--device", "cuda", "--dry-run"
        )


def test_a_photo_that_is_whole_passes(tmp_path, capsys, model):
    write_image(tmp_path / "p.png", np.zeros((16, 16, 3), np.uint8))
    run(capsys, "encode", tmp_path / "p.png", "--model", model, "--out", tmp_path / "p.safetensors")

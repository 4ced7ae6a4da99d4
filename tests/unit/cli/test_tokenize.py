"""``worldfoundry tokenize`` with tokenizers of every kind: in pieces as at once, packed, normalised, by halves, in tiles."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from worldfoundry.cli.main import main
from worldfoundry.data.video_io import read_image, read_times, read_video
from worldfoundry.data.video_write import write_image, write_video
from worldfoundry.models.pretrained.config import ReleaseConfig
from worldfoundry.models.pretrained.release import load_tokenizer, save_release
from worldfoundry.models.tokenizer.initialise import initialise
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.quantize import unpack_indices
from worldfoundry.models.tokenizer.released import get_released
from worldfoundry.protocols.frames import Frames

CV, DV, CI = "Cosmos-0.1-Tokenizer-CV4x8x8", "Cosmos-0.1-Tokenizer-DV4x8x8", "Cosmos-0.1-Tokenizer-CI8x8"


def make(folder, name, **changes):
    """A tiny tokenizer in a release folder of ours."""
    config = get_released(name)
    width = 32 if config.norm_groups == 32 else 8
    model = WaveletTokenizer(replace(config, channels=width, num_res_blocks=1, **changes))
    initialise(model, torch.Generator().manual_seed(0))
    folder.mkdir(parents=True)
    save_release(folder, model, ReleaseConfig(name="tiny", family="tokenizer", tokenizer=model.config))
    return str(folder)


def film(path, num_frames=29, height=32, width=48):
    rows, columns = np.mgrid[:height, :width]
    frames = [
        np.stack([rows * 5 + 3 * t, columns * 4, rows + columns + 7 * t], axis=-1) for t in range(num_frames)
    ]
    write_video(path, Frames.at_constant_rate(np.stack(frames).astype(np.uint8), 12.5))
    return path


def run(capsys, *args) -> dict:
    assert main(["tokenize", *map(str, args), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_a_long_clip_in_pieces_gives_the_latents_of_one_pass(tmp_path, capsys):
    model, clip = make(tmp_path / "m", CV), film(tmp_path / "a.mp4")
    found = {}
    for frames in (1, 8, 16, 99):
        out = tmp_path / f"{frames}.safetensors"
        said = run(capsys, "encode", clip, "--model", model, "--out", out, "--chunk-frames", frames)
        assert said["latents"] == [1, 16, 8, 4, 6]
        assert said["fps"] == "12.5"
        found[frames] = load_file(out)["latents"]
    exact = load_tokenizer(model).encode(read_video(clip).to_clip().pixels)
    for latents in found.values():
        torch.testing.assert_close(latents, exact, atol=1e-5, rtol=0)
    films = []
    for frames in (4, 12, 99):
        out = tmp_path / f"{frames}.mp4"
        said = run(
            capsys,
            "decode",
            tmp_path / "8.safetensors",
            "--model",
            model,
            "--out",
            out,
            "--chunk-frames",
            frames,
        )
        assert said["pixels"] == [1, 3, 29, 32, 48]
        films.append(read_video(out).pixels)
    assert all(np.array_equal(films[0], other) for other in films[1:])


def test_the_round_trip_gives_the_same_figures_in_pieces(tmp_path, capsys):
    model, clip = make(tmp_path / "m", CV), film(tmp_path / "a.mp4")
    said = [
        run(capsys, "roundtrip", clip, "--model", model, "--out", tmp_path / f"{n}.mp4", "--chunk-frames", n)
        for n in (4, 99)
    ]
    for facts in said:
        facts.pop("out")
    assert said[0] == said[1]
    assert said[0]["latents"] == [1, 16, 8, 4, 6]
    assert said[0]["bits_per_pixel"] == pytest.approx(16 * 16 * 8 * 4 * 6 / (29 * 32 * 48), abs=1e-4)


def test_indices_are_packed_and_their_usage_is_told(tmp_path, capsys):
    levels = (7, 5, 5)  # 175 codes: 8 bits; with 3 channels
    model = make(tmp_path / "m", DV, fsq_levels=levels, latent_channels=3)
    odd = make(tmp_path / "odd", DV, fsq_levels=(5, 5, 5), latent_channels=3)  # 125 codes: 7 bits
    clip = film(tmp_path / "a.mp4")
    pixels = read_video(clip).to_clip().pixels
    for name, size, bits in ((model, 175, 8), (odd, 125, 7)):
        out = tmp_path / f"{size}.safetensors"
        said = run(capsys, "encode", clip, "--model", name, "--out", out, "--chunk-frames", 4)
        stored = load_file(out)
        indices = load_tokenizer(name).encode(pixels)
        assert stored["packed"].numel() == -(-indices.numel() * bits // 8)
        assert torch.equal(unpack_indices(stored["packed"], size, tuple(indices.shape)), indices)
        assert said["indices"] == list(indices.shape)
        assert said["codebook_size"] == size
        assert said["codes_used"] == len(indices.unique())
        assert 1 <= said["codebook_perplexity"] <= said["codes_used"]
        back = tmp_path / f"{size}.mp4"
        run(capsys, "decode", out, "--model", name, "--out", back, "--chunk-frames", 8)
        write_video(tmp_path / "exact.mp4", _frames(load_tokenizer(name).decode(indices)))
        assert np.array_equal(read_video(back).pixels, read_video(tmp_path / "exact.mp4").pixels)
        (tmp_path / "exact.mp4").unlink()
    assert main(["tokenize", "decode", str(out), "--model", model, "--out", str(tmp_path / "x.mp4")]) == 1
    assert "decode with the model that encoded" in capsys.readouterr().err


def _frames(pixels):
    from worldfoundry.protocols.video import Clip

    return Clip(pixels=pixels, fps=12.5).to_frames()


@pytest.mark.parametrize("name", [CI, CV])
def test_an_image_goes_there_and_back_as_a_png(tmp_path, capsys, name):
    model, photo = make(tmp_path / "m", name), tmp_path / "photo.png"
    write_image(photo, np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8))
    said = run(capsys, "encode", photo, "--model", model, "--out", tmp_path / "z.safetensors")
    assert said["latents"] == [1, 16, 1, 5, 7]
    run(capsys, "decode", tmp_path / "z.safetensors", "--model", model, "--out", tmp_path / "back.png")
    run(capsys, "roundtrip", photo, "--model", model, "--out", tmp_path / "trip.png")
    back, trip = (read_image(tmp_path / f"{n}.png").pixels for n in ("back", "trip"))
    assert back.shape == (1, 40, 56, 3)
    assert np.array_equal(back, trip)


def test_an_image_tokenizer_takes_each_frame_of_a_video(tmp_path, capsys):
    model, clip = make(tmp_path / "m", CI), film(tmp_path / "a.mp4", num_frames=6)
    said = run(
        capsys, "encode", clip, "--model", model, "--out", tmp_path / "z.safetensors", "--chunk-frames", 4
    )
    assert said["latents"] == [1, 16, 6, 4, 6]
    run(capsys, "decode", tmp_path / "z.safetensors", "--model", model, "--out", tmp_path / "b.mp4")
    assert main(["tokenize", "roundtrip", str(clip), "--model", model, "--out", str(tmp_path / "b.png")]) == 1
    assert "--out must end in .mp4 for more than one frame" in capsys.readouterr().err


def test_normalised_latents_are_stored_so_and_decoded_as_the_others(tmp_path, capsys):
    model, clip = make(tmp_path / "m", CV), film(tmp_path / "a.mp4", num_frames=13)
    args = ["encode", clip, "--model", model, "--chunk-frames", 4]
    assert main(["tokenize", *map(str, args), "--normalise", "--out", str(tmp_path / "no.safetensors")]) == 1
    assert "--normalise needs latent statistics (mean_std.pt)" in capsys.readouterr().err
    generator = torch.Generator().manual_seed(0)
    mean, std = torch.randn(16, 4, generator=generator), torch.rand(16, 4, generator=generator) + 0.5
    save_file({"mean": mean, "std": std}, tmp_path / "m" / "latent_statistics.safetensors")
    run(capsys, *args, "--out", tmp_path / "raw.safetensors")
    run(capsys, *args, "--normalise", "--out", tmp_path / "n.safetensors")
    raw, normal = (load_file(tmp_path / f"{n}.safetensors")["latents"] for n in ("raw", "n"))
    torch.testing.assert_close(normal, (raw - mean[None, ..., None, None]) / std[None, ..., None, None])
    films = []
    for name in ("raw", "n"):
        run(
            capsys,
            "decode",
            tmp_path / f"{name}.safetensors",
            "--model",
            model,
            "--out",
            tmp_path / f"{name}.mp4",
        )
        films.append(read_video(tmp_path / f"{name}.mp4").pixels.astype(int))
    assert np.abs(films[0] - films[1]).max() <= 1
    longer = film(tmp_path / "long.mp4", num_frames=17)
    line = [
        "tokenize",
        "encode",
        str(longer),
        "--model",
        model,
        "--normalise",
        "--out",
        str(tmp_path / "l.safetensors"),
    ]
    assert main(line) == 1
    assert "clips of at most 13 frames" in capsys.readouterr().err
    assert not (tmp_path / "l.safetensors").exists()


def test_halves_encode_and_decode_and_say_that_they_cannot_be_compared(tmp_path, capsys):
    whole, clip = make(tmp_path / "m", CV), film(tmp_path / "a.mp4", num_frames=5)
    state = load_file(tmp_path / "m" / "model.safetensors")
    for half, prefixes in (
        ("encoder", ("encoder.", "quant_conv.")),
        ("decoder", ("decoder.", "post_quant_conv.")),
    ):
        (tmp_path / half).mkdir()
        save_file(
            {k: v for k, v in state.items() if k.startswith(prefixes)}, tmp_path / half / "model.safetensors"
        )
        (tmp_path / half / "config.json").write_text((tmp_path / "m" / "config.json").read_text())
    latents = tmp_path / "z.safetensors"
    run(capsys, "encode", clip, "--model", tmp_path / "encoder", "--out", latents)
    for number, model in enumerate((tmp_path / "decoder", whole)):
        line = [
            "tokenize",
            "decode",
            str(latents),
            "--model",
            str(model),
            "--out",
            str(tmp_path / f"{number}.mp4"),
        ]
        assert main(line) == 0
        assert "cannot be checked" in capsys.readouterr().err
    refused = [
        "tokenize",
        "encode",
        str(clip),
        "--model",
        str(tmp_path / "decoder"),
        "--out",
        str(tmp_path / "y.safetensors"),
    ]
    assert main(refused) == 1
    assert "must hold its encoder to encode" in capsys.readouterr().err


def test_the_weights_are_read_once(tmp_path, capsys, monkeypatch):
    from worldfoundry.models.pretrained import tokenizer_files

    model, clip = make(tmp_path / "m", CV), film(tmp_path / "a.mp4", num_frames=5)
    real, opened = tokenizer_files.load_file, []
    monkeypatch.setattr(tokenizer_files, "load_file", lambda path: opened.append(path) or real(path))
    run(capsys, "encode", clip, "--model", model, "--out", tmp_path / "z.safetensors")
    run(capsys, "decode", tmp_path / "z.safetensors", "--model", model, "--out", tmp_path / "b.mp4")
    assert len(opened) == 2


def test_tiles_are_off_unless_asked_and_must_fit_the_tokenizer(tmp_path, capsys):
    model, clip = make(tmp_path / "m", CV), film(tmp_path / "a.mp4", num_frames=5, height=64, width=96)
    found = {}
    for tile in (0, 128, 64):
        out = tmp_path / f"{tile}.safetensors"
        run(capsys, "encode", clip, "--model", model, "--out", out, "--tile", tile, "--tile-overlap", 16)
        found[tile] = load_file(out)["latents"]
    assert torch.equal(found[0], found[128])
    assert found[64].shape == found[0].shape
    assert not torch.equal(found[0], found[64])
    run(capsys, "encode", clip, "--model", model, "--out", tmp_path / "own.safetensors", "--tile", 64)
    assert torch.equal(load_file(tmp_path / "own.safetensors")["latents"], found[64])  # a quarter of 64
    for more, says in (
        (["--tile", "60"], "--tile must be a multiple"),
        (["--tile", "64", "--tile-overlap", "64"], "--tile-overlap must be at most a quarter"),
    ):
        out = str(tmp_path / "x.safetensors")
        assert main(["tokenize", "encode", str(clip), "--model", model, "--out", out, *more]) == 2
        assert says in capsys.readouterr().err


def test_what_does_not_fill_latents_is_refused_before_any_work(tmp_path, capsys):
    model, clip = make(tmp_path / "m", CV), film(tmp_path / "a.mp4", num_frames=6, height=34)
    out = tmp_path / "z.safetensors"
    assert main(["tokenize", "encode", str(clip), "--model", model, "--out", str(out)]) == 1
    assert "add --cut to use 5 frames of 48x32" in capsys.readouterr().err
    said = run(capsys, "encode", clip, "--model", model, "--out", out, "--cut")
    assert said["pixels"] == [1, 3, 5, 32, 48]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_the_samples_have_as_many_frames_and_the_rate_as_when_they_are_read(samples):
    for name in ("driving", "robot-arm", "static-camera"):
        frames, times = read_video(samples / f"{name}.mp4"), read_times(samples / f"{name}.mp4")
        assert (times.num_frames, times.fps) == (len(frames.pixels), frames.fps)

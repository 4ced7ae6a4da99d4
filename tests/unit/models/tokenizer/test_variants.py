"""What holds for every published kind of tokenizer, at a small width."""

import itertools
from dataclasses import replace

import pytest
import torch

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.models.tokenizer.config import TokenizerConfig
from worldfoundry.models.tokenizer.initialise import initialise
from worldfoundry.models.tokenizer.network import WaveletTokenizer
from worldfoundry.models.tokenizer.released import RELEASED

NAMES = {
    name.split("-")[3 if "-Tokenizer-" in name else 2] + ("" if "-Tokenizer-" in name else " p2"): config
    for name, config in RELEASED.items()
    if not name.endswith("720p")
}
VIDEO = {k: v for k, v in NAMES.items() if v.dimensions == "video"}
IMAGE = {k: v for k, v in NAMES.items() if v.dimensions == "image"}


def make(config, **changes):
    width = 32 if config.norm_groups == 32 else 8
    z = min(config.z_channels, 24)
    model = WaveletTokenizer(replace(config, channels=width, num_res_blocks=1, z_channels=z, **changes))
    generator = torch.Generator().manual_seed(0)
    initialise(model, generator)
    with torch.no_grad():
        for parameter in model.parameters():  # no weight may be special
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model.eval().requires_grad_(False)


def noise(*shape, seed=1):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def close(a, b):
    torch.testing.assert_close(a, b, atol=1e-5 * float(b.abs().max().clamp(min=1)), rtol=0)


@pytest.mark.parametrize("name", VIDEO)
@pytest.mark.parametrize(
    ("pieces", "attended_latents"), [((0, 1, 1), 0), ((0, 2), 0), ((1, 1), 3), ((0, 2), 3)]
)
def test_a_clip_in_pieces_gives_what_it_gives_at_once(name, pieces, attended_latents):
    """``pieces`` of so many latent frames, besides the first."""
    model = make(VIDEO[name])
    stride, axis = model.spec.temporal_stride, 1 if model.fsq else 2
    clip = noise(2, 3, 1 + 2 * stride, 16, 32)
    codes, pixels = model.encode(clip), model.decode(model.encode_codes(clip))
    stream = model.stream(attended_latents=attended_latents)
    frames = [n * stride + (i == 0) for i, n in enumerate(pieces)]
    in_pieces = torch.cat([stream.encode(piece) for piece in clip.split(frames, dim=2)], dim=axis)
    if model.fsq is None:
        close(in_pieces, codes)
    else:
        assert torch.equal(in_pieces, codes)
    latents = [n + (i == 0) for i, n in enumerate(pieces)]
    close(torch.cat([stream.decode(piece) for piece in codes.split(latents, dim=axis)], dim=2), pixels)


@pytest.mark.parametrize("name", ["CV8x8x8", "DV8x16x16", "CV4x8x8 p2"])
def test_a_piece_that_does_not_continue_its_clip_says_what_differs(name):
    model = make(VIDEO[name])
    stream, stride = model.stream(), model.spec.temporal_stride
    codes = stream.encode(noise(2, 3, 1, 32, 32))
    assert stream.decode(codes).shape == (2, 3, 1, 32, 32)
    for shape, says in [
        ((2, 3, stride, 16, 32), "pixels .* must have height 32, got 16; start another stream"),
        ((2, 3, stride, 32, 48), "must have width 32, got 48; "),
        ((1, 3, stride, 64, 32), "must have batch 2, got 1 and height 32, got 64; "),
        ((2, 3, 0, 32, 32), "pixels of a stream must be a frame or more, got 0"),
    ]:
        with pytest.raises(DataError, match=says):
            stream.encode(noise(*shape))
    smaller, none = codes[..., :1], codes[..., :0, :, :]
    with pytest.raises(DataError, match=f"latents .* must have width {codes.shape[-1]}, got 1; "):
        stream.decode(smaller)
    with pytest.raises(DataError, match="latents of a stream must be a frame or more, got 0"):
        stream.decode(none)
    assert stream.decode(stream.encode(noise(2, 3, stride, 32, 32))).shape == (2, 3, stride, 32, 32)


def flat(past):
    """Every tensor of a state."""
    return [t for kept in past for t in (kept if isinstance(kept, tuple) else (kept,))]


def test_a_stream_that_forgets_keeps_as_much_after_any_length():
    model = make(VIDEO["DV4x8x8"])
    stream, sizes = model.stream(attended_latents=3), []
    clip = noise(1, 3, 17, 16, 16)
    for piece in clip.split([1, 4, 4, 4, 4], dim=2):
        stream.decode(stream.encode(piece))
        kept = flat((*stream.encoder_past, *stream.decoder_past))
        sizes.append(sum(t.untyped_storage().nbytes() for t in kept))
    assert sizes[0] < sizes[1] == sizes[2] == sizes[3] == sizes[4]


def test_what_a_stream_keeps_of_every_latent_is_one_vector_a_position():
    model = make(VIDEO["DV4x8x8"])
    stream, sizes = model.stream(), []
    for piece in noise(1, 3, 1 + 4 * 40, 16, 16).split([1, *[4] * 40], dim=2):
        stream.encode(piece)
        sizes.append(sum(t.untyped_storage().nbytes() for t in flat(stream.encoder_past)))
    width = model.config.channels * model.config.channel_multipliers[-1]
    assert {b - a for a, b in itertools.pairwise(sizes)} == {
        4 * width * 2 * 2
    }  # float32, 2 x 2 latents a frame


@pytest.mark.parametrize("attended", [1, 2, 3])
def test_a_stream_that_forgets_gives_the_same_however_the_clip_is_cut(attended):
    model = make(VIDEO["CV4x8x8"])
    clip = noise(1, 3, 25, 16, 32)
    results = []
    for pieces in ([1, 4, 4, 4, 4, 4, 4], [25], [9, 16], [1, 12, 4, 8]):
        stream = model.stream(attended_latents=attended)
        codes = torch.cat([stream.encode(piece) for piece in clip.split(pieces, dim=2)], dim=2)
        frames = [stream.decode(piece) for piece in codes.split(pieces[0] // 4 + 1, dim=2)]
        results.append((codes, torch.cat(frames, dim=2)))
    for codes, pixels in results[1:]:
        close(codes, results[0][0])
        close(pixels, results[0][1])
    close(results[0][0][:, :, :attended], model.encode(clip)[:, :, :attended])
    assert (results[0][0] - model.encode(clip))[:, :, attended:].abs().max() > 1e-4


def test_the_past_of_a_stream_is_never_changed():
    model = make(VIDEO["CV8x8x8"])
    stream = model.stream()
    stream.encode(noise(1, 3, 1, 16, 16))
    before = stream.encoder_past
    copies = [t.clone() for t in flat(before)]
    first = stream.encode(noise(1, 3, 8, 16, 16))
    assert all(torch.equal(a, b) for a, b in zip(flat(before), copies, strict=True))
    stream.encoder_past = before
    assert torch.equal(stream.encode(noise(1, 3, 8, 16, 16)), first)


@pytest.mark.parametrize("name", VIDEO)
def test_a_later_frame_never_changes_an_earlier_code(name):
    model = make(VIDEO[name])
    stride = model.spec.temporal_stride
    clip = noise(1, 3, 1 + 2 * stride, 16, 16)
    changed = clip.clone()
    changed[:, :, 1 + stride :] = noise(1, 3, stride, 16, 16, seed=2)
    before, after = model._features(clip, None), model._features(changed, None)
    close(after[:, :, :2], before[:, :, :2])
    assert (after[:, :, 2] - before[:, :, 2]).abs().max() > 1e-3


@pytest.mark.parametrize("name", VIDEO)
def test_the_first_frame_of_a_clip_is_coded_as_an_image_of_its_own(name):
    model = make(VIDEO[name])
    clip = noise(1, 3, 1 + model.spec.temporal_stride, 16, 32)
    close(model._features(clip, None)[:, :, :1], model._features(clip[:, :, :1], None))


@pytest.mark.parametrize("name", IMAGE)
def test_an_image_tokenizer_takes_each_frame_of_a_clip_as_an_image(name):
    model = make(IMAGE[name])
    images = noise(2, 3, 32, 48)
    clip = torch.stack([images, images.flip(0)], dim=2)
    codes = model.encode(images)
    size = model.spec.spatial_stride
    assert codes.shape[-2:] == (32 // size, 48 // size)
    of_clip = model.encode(clip)
    close(of_clip[..., 0, :, :].float(), codes.float())
    close(of_clip[..., 1, :, :].float(), codes.flip(0).float())
    pixels = model.decode(codes)
    assert pixels.shape == images.shape
    close(model.decode(of_clip)[:, :, 0], pixels)


@pytest.mark.parametrize("name", [k for k, v in NAMES.items() if v.fsq_levels])
def test_indices_and_their_codes_decode_to_the_same(name):
    model = make(NAMES[name])
    pixels = noise(1, 3, 1 + model.spec.temporal_stride, 32, 32)
    if model.config.dimensions == "image":
        pixels = pixels[:, :, 0]
    indices, codes = model.encode(pixels), model.encode_codes(pixels)
    assert indices.dtype == torch.int32
    assert 0 <= int(indices.min()) <= int(indices.max()) < model.spec.codebook_size == 64000
    assert torch.equal(model.decode(indices), model.decode(codes))


def test_gradients_reach_the_encoder_through_the_codes():
    model = make(NAMES["DI8x8"]).requires_grad_(True)
    model(noise(1, 3, 16, 16)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.encoder.conv_in.parameters())


def test_in_bfloat16_codes_are_those_of_the_latents_dtype():
    model = make(NAMES["DV8x8x8"]).to(torch.bfloat16)
    clip = noise(1, 3, 9, 16, 16).to(torch.bfloat16)
    assert model.encode_codes(clip).dtype == torch.bfloat16
    assert model.decode(model.encode(clip)).dtype == torch.bfloat16


def test_fresh_weights_of_an_image_tokenizer_with_one_group_already_are_a_codec():
    config = replace(RELEASED["Cosmos-0.1-Tokenizer-CI8x8"], channels=32, num_res_blocks=1, norm_groups=1)
    model = WaveletTokenizer(config)
    initialise(model, torch.Generator().manual_seed(7))
    ramp = torch.linspace(-0.8, 0.8, 32)
    x = (ramp[:, None] * ramp[None] + 0.2).expand(1, 3, 32, 32).contiguous()
    with torch.no_grad():
        error = (model(x) - x).square().mean()
    assert error < 0.2 * x.square().mean()


def test_a_variational_tokenizer_encodes_to_its_mean_and_clamps_its_variance():
    model = make(TokenizerConfig(is_variational=True, temporal_stride=4))
    clip = noise(1, 3, 5, 16, 16)
    posterior = model.posterior(clip)
    assert torch.equal(model.encode(clip), posterior.mean)
    model.quant_conv.conv3d.bias += 100
    assert model.posterior(clip).log_variance.max() == 20
    with pytest.raises(ConfigError, match="is_variational"):
        make(NAMES["CI8x8"]).posterior(noise(1, 3, 16, 16))


def test_callers_mistakes_say_what_to_do():
    video, image = make(NAMES["CV4x8x8"]), make(NAMES["CI8x8"])
    with pytest.raises(DataError, match="clip of one frame"):
        video.encode(noise(1, 3, 16, 16))
    with pytest.raises(DataError, match="floating-point"):
        video.decode(torch.zeros(1, 1, 2, 2, dtype=torch.int32))
    with pytest.raises(ConfigError, match="video tokenizer"):
        image.stream()
    stream = video.stream()
    stream.encode(noise(1, 3, 1, 16, 16))
    with pytest.raises(DataError, match="multiple of 4"):
        stream.encode(noise(1, 3, 1, 16, 16))


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("temporal_stride", {"dimensions": "image"}),
        ("norm_groups", {"norm_groups": 32}),
        ("norm_groups", {"dimensions": "image", "temporal_stride": 1, "norm_groups": 3}),
        ("fsq_levels", {"fsq_levels": (8, 1), "latent_channels": 2}),
        ("fsq_levels", {"fsq_levels": (2,) * 31, "latent_channels": 31}),
        ("latent_channels", {"fsq_levels": (8, 8)}),
        ("attention_levels", {"attention_levels": (3,)}),
        ("channel_multipliers", {"dimensions": "image", "temporal_stride": 1, "spatial_stride": 64}),
    ],
)
def test_a_variant_that_cannot_be_built_names_its_field(field, changes):
    with pytest.raises(ConfigError, match=field):
        TokenizerConfig(**changes)

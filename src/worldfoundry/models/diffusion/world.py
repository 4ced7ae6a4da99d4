"""The Video2World diffusion model: context latents in, the latents that follow out, window after window.

A rollout stays in latent space: the last latents of one window are the context of the next, and pixels are never re-encoded.
Pixels come from decoding the whole past with the causal decoder, so a rollout of several windows has no seams.

Source: arXiv 2501.03575, section 5.1; the noise convention is EDM's, sigma 0 is data.
"""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.diffusion.edm import Uncertainty, denoise, edm_loss, given_indicator
from worldfoundry.models.diffusion.samplers import (
    GivenFrames,
    edm_euler_sigmas,
    res_sigmas,
    sample_edm_euler,
    sample_res,
)
from worldfoundry.models.diffusion.transformer import DiffusionTransformer
from worldfoundry.models.diffusion.world_config import DiffusionWorldConfig
from worldfoundry.protocols.models import Carry, Conditioning, Tokenizer, TokenizerSpec, WorldSpec
from worldfoundry.protocols.video import Clip


class DiffusionWorldNetwork(nn.Module):
    """Everything of the world model that has weights: the denoiser, its uncertainty, the statistics of the latents."""

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: DiffusionWorldConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        self.net = DiffusionTransformer(config.network, generator=generator)
        self.uncertainty = Uncertainty(generator=generator)
        self.register_buffer("latent_mean", torch.zeros(config.network.latent_channels))
        self.register_buffer("latent_std", torch.ones(config.network.latent_channels))

    def normalise(self, latents: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Tokenizer latents to zero mean and standard deviation ``sigma_data`` in every channel."""
        shape = (1, -1, 1, 1, 1)
        scaled = (latents - self.latent_mean.view(shape)) / self.latent_std.view(shape)
        return scaled * self.config.edm.sigma_data

    def denormalise(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Inverse of ``normalise``."""
        shape = (1, -1, 1, 1, 1)
        return x / self.config.edm.sigma_data * self.latent_std.view(shape) + self.latent_mean.view(shape)

    def loss(
        self, latents: Float[Tensor, "b c t h w"], *, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Video2World loss of a batch of windows; each has 1 to ``max_context_latents`` given frames."""
        most = self.config.max_context_latents
        num_given = torch.randint(1, most + 1, (len(latents),), generator=generator).to(latents.device)
        return edm_loss(
            partial(self.net, fps=self.config.fps),
            self.normalise(latents),
            config=self.config.edm,
            generator=generator,
            given=given_indicator(num_given, latents.shape[2]),
            uncertainty=self.uncertainty,
        )

    @torch.no_grad()
    def continue_window(
        self,
        context: Float[Tensor, "b c k h w"],
        *,
        num_latents: int,
        generators: Sequence[torch.Generator],
    ) -> Float[Tensor, "b c t h w"]:
        """Sample the ``num_latents`` latents that follow ``context``; tokenizer scale in and out.

        Each clip has its own generator, so that its noise does not depend on the batch it is in.
        """
        _check_count("generators", len(generators), num_clips=len(context))
        config, edm = self.config, self.config.edm
        given = self.normalise(context.float())
        b, c, k, h, w = given.shape
        total = k + num_latents
        noise, context_noise = (_normal((c, total, h, w), generators).to(given.device) for _ in range(2))
        padded = torch.cat([given, given.new_zeros(b, c, num_latents, h, w)], dim=2)
        indicator = given_indicator(torch.full((1,), k, device=given.device), total)
        frames = GivenFrames(
            latents=padded,
            indicator=indicator,
            noise=context_noise,
            augment_sigma=config.context_sigma,
            sigma_data=edm.sigma_data,
        )
        mask = indicator.expand(b, 1, total, h, w)
        denoiser = partial(
            denoise, partial(self.net, fps=config.fps, condition_mask=mask), sigma_data=edm.sigma_data
        )
        schedule, sample = (
            (res_sigmas, sample_res) if config.sampler == "res" else (edm_euler_sigmas, sample_edm_euler)
        )
        sigmas = schedule(config.num_steps, sigma_min=edm.sigma_min, sigma_max=edm.sigma_max, rho=edm.rho)
        x = sample(denoiser, noise * edm.sigma_max, sigmas, given=frames)
        return self.denormalise(x[:, :, k:].float())


def _normal(shape: tuple[int, ...], generators: Sequence[torch.Generator]) -> Tensor:
    return torch.stack([torch.randn(shape, generator=g) for g in generators])


def _check_count(name: str, count: int, *, num_clips: int) -> None:
    if count != num_clips:
        raise ConfigError(f"{name} must be one for each of the {num_clips} clips, got {count}; give as many")


class DiffusionWorld:
    """A world model in pixels: a tokenizer and a network behind ``start`` and ``step``."""

    def __init__(self, network: DiffusionWorldNetwork, tokenizer: Tokenizer):
        config = network.config
        self.network, self.tokenizer = network, tokenizer
        self.spec = WorldSpec(
            fps=config.fps,
            height=config.height,
            width=config.width,
            tokenizer=TokenizerSpec(
                temporal_stride=config.temporal_stride,
                spatial_stride=config.spatial_stride,
                latent_channels=config.network.latent_channels,
            ),
            window_latents=config.window_latents,
            max_context_latents=config.max_context_latents,
        )
        if tokenizer.spec != self.spec.tokenizer:
            raise ConfigError(
                f"world needs a tokenizer with {self.spec.tokenizer}, got {tokenizer.spec}; load {config.tokenizer!r}"
            )

    @torch.no_grad()
    def start(
        self, context: Clip, conditioning: Conditioning, *, generators: Sequence[torch.Generator]
    ) -> Carry:
        """Encode the context; refuses conditioning, a rate, a size or a length that the model was not trained for."""
        spec = self.spec
        _check_count("generators", len(generators), num_clips=len(context.pixels))
        if conditioning.given():
            raise ConfigError(
                f"this world model takes no {', '.join(conditioning.given())}; leave it out or choose a model that does"
            )
        if abs(context.fps - spec.fps) > 1e-3:
            raise ConfigError(
                f"context must be at {spec.fps} fps, got {context.fps:.3f}; resample it (--resample on the command line)"
            )
        size = tuple(context.pixels.shape[3:])
        if size != (spec.height, spec.width):
            raise ConfigError(
                f"context must be {spec.height}x{spec.width} pixels (rows x columns), got {size[0]}x{size[1]}; resize it "
                "(--fit crop on the command line)"
            )
        shape = spec.tokenizer.latent_shape(num_frames=context.num_frames, height=size[0], width=size[1])
        if shape[1] > spec.max_context_latents:
            most = 1 + (spec.max_context_latents - 1) * spec.tokenizer.temporal_stride
            raise ConfigError(
                f"context must have at most {most} frames, got {context.num_frames}; give the last {most}"
            )
        latents = self.tokenizer.encode(context.pixels)
        return Carry(
            latents=latents,
            history=latents[:, :, :0],
            rng_state=_states(generators),
            num_frames=context.num_frames,
        )

    @torch.no_grad()
    def step(self, carry: Carry) -> tuple[Clip, Carry]:
        """Fill one window: ``window_latents`` minus the context, decoded; ``carry`` is left as it was."""
        _check_count("carry.rng_state", len(carry.rng_state), num_clips=len(carry.latents))
        # PyTorch 2.13 crashes on a state that is a view into a larger tensor.
        generators = [torch.Generator().set_state(state.clone()) for state in carry.rng_state]
        new = self.network.continue_window(
            carry.latents,
            num_latents=self.spec.window_latents - carry.latents.shape[2],
            generators=generators,
        )
        whole = torch.cat([carry.history, carry.latents, new], dim=2)
        keep = self.spec.max_context_latents
        num_new = new.shape[2] * self.spec.tokenizer.temporal_stride
        pixels = self.tokenizer.decode(whole)[:, :, -num_new:]
        clip = Clip(pixels=pixels, fps=self.spec.fps, start_seconds=carry.num_frames / self.spec.fps)
        after = Carry(
            latents=whole[:, :, -keep:],
            history=whole[:, :, :-keep],
            rng_state=_states(generators),
            num_frames=carry.num_frames + num_new,
        )
        return clip, after


def _states(generators: Sequence[torch.Generator]) -> UInt8[Tensor, "b s"]:
    return torch.stack([g.get_state() for g in generators])

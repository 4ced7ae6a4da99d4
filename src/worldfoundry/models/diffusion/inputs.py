"""Inputs of the diffusion transformer besides the latents: what adds channels, and what adds to the modulation.

Axes: ``b`` batch, ``c`` channels, ``t h w`` latent frames, rows and columns, ``v`` views, ``d`` model width.

Source: arXiv 2501.03575, sections 5 and 6. Module names are those of the published networks.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  the name the field uses
from jaxtyping import Float, Int
from torch import Tensor, nn

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.models.common.embeddings import Sinusoid
from worldfoundry.models.diffusion.blocks import TimestepMLP
from worldfoundry.models.diffusion.config import DiTConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraInputs:
    """What only some variants of the network read; each is given exactly if the network has it, but for ``view_*``."""

    camera: Float[Tensor, "b p f h w"] | None = None
    """Rays of the camera at every latent pixel (moment, direction); frames beyond those of the latents are not read."""
    tokens: Int[Tensor, "b 1 t th tw"] | None = None
    """Discrete tokens to decode."""
    view_repeat: Float[Tensor, "b v"] | None = None
    """One number for each view (frames repeated, divided by ten in published recipes); left out, zero."""
    view_indices: Int[Tensor, "b t"] | None = None
    """Which view each latent frame shows, above the table the last; left out, 0, 1, 2 ... in order."""
    trajectory: Float[Tensor, "b k"] | None = None
    """Points of the path ahead, flattened."""
    action: Float[Tensor, "b 1 a"] | None = None
    """What the robot does between the given frame and the next."""
    augment_c_noise: Float[Tensor, " b"] | None = None
    """``ln(sigma) / 4`` of the noise on the given frames."""


NO_EXTRA_INPUTS = ExtraInputs()


class ActionMLP(nn.Module):
    """Two linear layers around the GELU in its tanh form."""

    def __init__(self, dim_in: int, hidden_dim: int, dim_out: int):
        super().__init__()
        self.fc1 = nn.Linear(dim_in, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim_out)

    def forward(self, action: Float[Tensor, "b 1 a"]) -> Float[Tensor, "b d"]:
        """One vector for each action."""
        return self.fc2(F.gelu(self.fc1(action[:, 0]), approximate="tanh"))


def input_modules(config: DiTConfig) -> dict[str, nn.Module]:
    """The modules that the extra inputs of ``config`` need, by their published names.

    ``action_embedder_B_D`` and the MLP of ``augment_sigma_embedder`` are published, but nothing reads their results.
    """
    d, modules = config.model_channels, dict[str, nn.Module]()
    if config.token_vocabulary:
        modules["token_embedder"] = nn.Embedding(config.token_vocabulary, config.token_channels)
    if config.num_view_embeddings:
        modules["view_embeddings"] = nn.Embedding(config.num_view_embeddings, config.view_channels)
    if config.has_view_repeat:
        modules["repeat_frame_embedding"] = nn.Linear(1, config.view_channels)
    if config.trajectory_channels:
        modules["traj_embeddings"] = nn.Linear(config.trajectory_numbers, config.trajectory_channels)
    if config.action_dim:
        modules["action_embedder_B_D"] = ActionMLP(config.action_dim, 4 * d, d)
        modules["action_embedder_B_3D"] = ActionMLP(config.action_dim, 4 * d, 3 * d)
    if config.has_augment_sigma:
        modules["augment_sigma_embedder"] = nn.Sequential(Sinusoid(d), TimestepMLP(d))
    return modules


def check_inputs(
    config: DiTConfig,
    *,
    text: Tensor | None,
    condition_mask: Tensor | None,
    padding_mask: Tensor | None,
    extra: ExtraInputs,
) -> None:
    """Refuse what the network of ``config`` does not read, and the lack of what it needs."""
    for name, value, setting, may_be_missing in (
        ("text", text if text is not None and text.shape[1] else None, "text_channels", True),
        ("condition_mask", condition_mask, "has_condition_mask", False),
        ("padding_mask", padding_mask, "has_padding_mask", True),
        ("camera", extra.camera, "camera_channels", False),
        ("tokens", extra.tokens, "token_vocabulary", False),
        ("view_repeat", extra.view_repeat, "has_view_repeat", True),
        ("view_indices", extra.view_indices, "num_view_embeddings", True),
        ("trajectory", extra.trajectory, "trajectory_channels", False),
        ("action", extra.action, "action_dim", False),
        ("augment_c_noise", extra.augment_c_noise, "has_augment_sigma", False),
    ):
        has = getattr(config, setting)
        if value is not None and not has:
            raise ConfigError(
                f"this network takes no {name} ({setting}={has}); leave it out or use a network that does"
            )
        if value is None and has and not may_be_missing:
            raise ConfigError(f"this network needs {name} ({setting}={has}); give it")


def input_channels(
    modules: nn.Module,
    config: DiTConfig,
    x: Float[Tensor, "b c t h w"],
    condition_mask: Float[Tensor, "b 1 t h w"] | None,
    padding_mask: Float[Tensor, "b 1 ph pw"] | None,
    extra: ExtraInputs,
) -> Float[Tensor, "b c2 t h w"]:
    """All channels that the patches are made of, in the published order; ``modules`` has those of ``input_modules``."""
    channels = [x]
    if condition_mask is not None:
        channels.append(condition_mask)
    if extra.camera is not None:
        channels.append(_camera_channels(extra.camera, config, x))
    if extra.tokens is not None:
        channels.append(_token_channels(modules.get_submodule("token_embedder"), extra.tokens, x))
    if config.has_padding_mask:
        mask = (
            x.new_zeros(1) if padding_mask is None else F.interpolate(padding_mask, x.shape[3:])[:, :, None]
        )
        channels.append(mask.expand(len(x), 1, *x.shape[2:]))
    if config.num_view_embeddings:
        channels.append(_over_pixels(_view_vectors(modules, config, x, extra), x))
    if extra.trajectory is not None:
        vector = modules.get_submodule("traj_embeddings")(extra.trajectory.to(x.dtype))
        channels.append(_over_pixels(vector[:, None], x))
    return torch.cat([c.to(x.dtype) for c in channels], dim=1)


def _over_pixels(vectors: Float[Tensor, "b f c"], x: Tensor) -> Float[Tensor, "b c t h w"]:
    """Vectors of every frame, or one for all of them, at every pixel of ``x``."""
    return vectors.transpose(1, 2)[..., None, None].expand(-1, -1, *x.shape[2:])


def _camera_channels(camera: Tensor, config: DiTConfig, x: Tensor) -> Float[Tensor, "b p t h w"]:
    if camera.shape[1] != config.camera_channels or camera.shape[2] < x.shape[2]:
        raise DataError(
            f"camera must have {config.camera_channels} channels and at least {x.shape[2]} frames, got "
            f"{camera.shape[1]} and {camera.shape[2]}; give the rays of every latent frame"
        )
    return camera[:, :, : x.shape[2]]


def _token_channels(table: nn.Module, tokens: Tensor, x: Tensor) -> Float[Tensor, "b c t h w"]:
    embedded = table(tokens[:, 0]).permute(0, 1, 4, 2, 3)
    frames = F.interpolate(
        embedded.flatten(0, 1).float(), x.shape[3:], mode="bilinear", align_corners=False, antialias=True
    )
    return frames.unflatten(0, tokens.shape[:1] + tokens.shape[2:3]).transpose(1, 2)


def _view_vectors(
    modules: nn.Module, config: DiTConfig, x: Tensor, extra: ExtraInputs
) -> Float[Tensor, "b t c"]:
    frames = x.shape[2] // config.num_views
    in_order = torch.arange(config.num_views, device=x.device).repeat_interleave(frames)
    views = in_order.expand(len(x), -1) if extra.view_indices is None else extra.view_indices
    _check_count("view_indices", views.shape[1], "latent frames", x.shape[2])
    vectors = modules.get_submodule("view_embeddings")(views.clamp(max=config.num_view_embeddings - 1))
    if not config.has_view_repeat:
        return vectors
    repeat = x.new_zeros(len(x), config.num_views) if extra.view_repeat is None else extra.view_repeat
    _check_count("view_repeat", repeat.shape[1], "views", config.num_views)
    each = modules.get_submodule("repeat_frame_embedding")(repeat[..., None].to(x.dtype))
    return vectors + each.repeat_interleave(frames, dim=1)


def _check_count(name: str, count: int, what: str, needed: int) -> None:
    if count != needed:
        raise DataError(f"{name} must be one for each of the {needed} {what}, got {count}; give as many")


def action_modulation(modules: nn.Module, action: Float[Tensor, "b 1 a"]) -> Float[Tensor, "b d3"]:
    """What an action adds to the shared part of the modulation."""
    return modules.get_submodule("action_embedder_B_3D")(action)


def augment_embedding(modules: nn.Module, c_noise: Float[Tensor, " b"]) -> Float[Tensor, "b d"]:
    """What the noise on the given frames adds to the sinusoid of the noise level."""
    return modules.get_submodule("augment_sigma_embedder.0")(c_noise)

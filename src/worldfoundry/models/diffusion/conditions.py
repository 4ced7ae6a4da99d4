"""What the variants of the network read besides noisy latents, and how it becomes input channels.

Axes as in ``transformer``; ``v`` views, ``t`` latent frames of all views together, view after view.
"""

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F  # noqa: N812  the name the field uses
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.models.diffusion.config import DiTConfig
from worldfoundry.models.diffusion.layers import ActionMLP, TimestepMLP


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Inputs of single variants; a network refuses what it does not read, and asks for what it does."""

    augment_c_noise: Float[Tensor, " b"] | None = None
    """Noise level of given frames, ``ln(sigma) / 4``."""
    pose: Float[Tensor, "b p t_more h w"] | None = None
    """Rays of the camera for each latent pixel (Pluecker coordinates); frames beyond those of the latents are left out."""
    action: Float[Tensor, "b a"] | None = None
    """One action."""
    tokens: Int[Tensor, "b 1 t h_half w_half"] | None = None
    """Codes of the clip to decode, at half the rows and columns."""
    frame_repeat: Float[Tensor, "b v"] | None = None
    """A number for each view; None is zeros. The published data give 1 to views whose frames repeat."""
    view_indices: Int[Tensor, "b t"] | None = None
    """View of each latent frame; None is one after another. Indices beyond the table are its last."""
    trajectory: Float[Tensor, "b k"] | None = None
    """Points ahead of the car, flattened."""


NONE = Conditions()
_OPTIONAL = ("frame_repeat", "view_indices")


def variant_modules(config: DiTConfig) -> dict[str, nn.Module]:
    """Modules that only some variants have, by their published names."""
    d, found = config.model_channels, dict[str, nn.Module]()
    if config.has_augment_sigma:
        found["augment_sigma_embedder"] = nn.Sequential(
            nn.Identity(), TimestepMLP(d)
        )  # published, and read by nothing
    if config.action_dim:
        found["action_embedder_B_D"] = ActionMLP(config.action_dim, d, 1)  # as above
        found["action_embedder_B_3D"] = ActionMLP(config.action_dim, d, 3)
    if config.tokens:
        found["token_embedder"] = nn.Embedding(config.tokens.codebook_size, config.tokens.channels)
    if config.views:
        v = config.views
        found["view_embeddings"] = nn.Embedding(v.table_rows or v.num_views, v.channels)
        if v.has_repeat:
            found["repeat_frame_embedding"] = nn.Linear(1, v.channels)
        if v.trajectory_dim:
            found["traj_embeddings"] = nn.Linear(v.trajectory_dim, v.trajectory_channels)
    return found


def check_conditions(config: DiTConfig, given: Conditions) -> None:
    """Refuse what is not read and what is missing."""
    views = config.views
    read = {
        "augment_c_noise": config.has_augment_sigma,
        "pose": config.pose_channels > 0,
        "action": config.action_dim > 0,
        "tokens": config.tokens is not None,
        "frame_repeat": views is not None and views.has_repeat,
        "view_indices": views is not None,
        "trajectory": views is not None and views.trajectory_dim > 0,
    }
    for field in fields(Conditions):
        name, value = field.name, getattr(given, field.name)
        if value is not None and not read[name]:
            raise ConfigError(
                f"this network reads no {name}, got one; leave it out or use a network that does"
            )
        if value is None and read[name] and name not in _OPTIONAL:
            raise ConfigError(f"this network needs {name}, got none; give it in Conditions")


def channels_before_padding(
    network: nn.Module, x: Tensor, given: Conditions
) -> list[Float[Tensor, "b c t h w"]]:
    """Rays and tokens."""
    found: list[Tensor] = []
    if given.pose is not None:
        if given.pose.shape[2] < x.shape[2]:
            raise DataError(
                f"pose must have a frame for each of {x.shape[2]} latent frames, got {given.pose.shape[2]}; give the whole path"
            )
        found.append(given.pose[:, :, : x.shape[2]].to(x.dtype))
    if given.tokens is not None:
        embedded = rearrange(
            network.get_submodule("token_embedder")(given.tokens[:, 0]), "b t h w c -> (b t) c h w"
        )
        wide = F.interpolate(embedded.float(), x.shape[3:], mode="bilinear", antialias=True)
        found.append(rearrange(wide.to(x.dtype), "(b t) c h w -> b c t h w", b=len(x)))
    return found


def channels_behind_padding(
    network: nn.Module, config: DiTConfig, x: Tensor, given: Conditions
) -> list[Float[Tensor, "b c t h w"]]:
    """Views and trajectory, the same at every pixel."""
    if config.views is None:
        return []
    (b, _, t, h, w), count = x.shape, config.views.num_views
    table = network.get_submodule("view_embeddings")
    assert isinstance(table, nn.Embedding), "as variant_modules makes it"
    indices = given.view_indices
    if indices is None:
        indices = torch.arange(count, device=x.device).repeat_interleave(t // count).expand(b, -1)
    marks = table(indices.clamp(max=table.num_embeddings - 1))
    if config.views.has_repeat:
        repeat = x.new_zeros(b, count) if given.frame_repeat is None else given.frame_repeat.to(x.dtype)
        more = network.get_submodule("repeat_frame_embedding")(repeat[..., None])
        marks = marks + more.repeat_interleave(t // count, dim=1)
    found = [marks.transpose(1, 2)[..., None, None].expand(-1, -1, -1, h, w).to(x.dtype)]
    if given.trajectory is not None:
        path = network.get_submodule("traj_embeddings")(given.trajectory.to(x.dtype))
        found.append(path[:, :, None, None, None].expand(-1, -1, t, h, w))
    return found

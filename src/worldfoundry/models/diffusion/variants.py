"""Settings of the published networks beyond Text2World and Video2World. Imports no torch.

Source: arXiv 2501.03575, sections 5 and 6.
"""

from dataclasses import replace

from worldfoundry.models.diffusion.config import DiTConfig, official_7b_text2world, official_7b_video2world


def official_7b_multiview_text2world(num_views: int = 6) -> DiTConfig:
    """The published 7B Text2World network of driving scenes, six cameras at once."""
    return replace(
        official_7b_text2world(),
        positions="sincos",
        num_views=num_views,
        num_view_embeddings=num_views,
        view_channels=6,
        has_view_repeat=True,
    )


def official_7b_multiview_video2world(num_views: int = 6) -> DiTConfig:
    """The published 7B Video2World network of driving scenes."""
    return replace(official_7b_multiview_text2world(num_views), has_condition_mask=True)


def official_7b_single_to_multiview(num_views: int = 6) -> DiTConfig:
    """The published 7B network that adds the other cameras to one; its table has one row for each of seven places."""
    return replace(official_7b_multiview_video2world(num_views), num_view_embeddings=7)


def official_7b_action() -> DiTConfig:
    """The published 7B network of a robot arm driven by actions; only its training code was published."""
    return replace(official_7b_video2world(), positions="none", action_dim=7)


def official_7b_camera() -> DiTConfig:
    """The 7B Video2World network with camera rays of the paper; no weights were published."""
    return replace(official_7b_video2world(), camera_channels=6)


def official_7b_decoder() -> DiTConfig:
    """The published 7B decoder from the tokens of the autoregressive models to latents."""
    return replace(
        official_7b_text2world(),
        positions="none",
        rope_ratio_t=1.0,
        rope_ratio_h=1.5,
        rope_ratio_w=1.5,
        token_vocabulary=64000,
        token_channels=32,
    )

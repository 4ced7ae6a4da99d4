"""Text-video embedders whose code comes with their weights: InternVideo2 and Cosmos-Embed1, through transformers.

The weights are a folder on this machine with the model's own Python files, which are run: use folders you trust. Hub names
are refused for that reason.

Source: InternVideo2 (arXiv 2403.15377), Cosmos-Embed1 (its model card); both through AutoModel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from worldfoundry.core.errors import ConfigError, require_package
from worldfoundry.curate.plugins.clip import digest_of_weights, prepared, unit
from worldfoundry.curate.plugins.device import beside, device

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SIDE = 224


@dataclass(frozen=True)
class VideoEmbedder:
    """A model that embeds a few frames together, and text into the same space; callable as an enricher."""

    name: str
    """Stands in the name of its results."""
    weights: str
    """Its folder."""
    num_frames: int
    """Frames it looks at."""
    max_side_px: int
    """Longer side of these frames at most."""
    video: Callable[[np.ndarray], Any]
    """Embeds uint8 [t, h, w, 3]."""
    text: Callable[[str], Any]
    """Embeds a text."""

    @cached_property
    def version(self) -> str:
        """Digest of the weights."""
        return digest_of_weights(self.weights)

    def __call__(self, frames: np.ndarray, seconds: np.ndarray) -> dict[str, Any]:
        """The unit embedding of the frames."""
        del seconds
        return {"embedding": _vector(self.video(frames))}

    def embed_text(self, text: str) -> np.ndarray:
        """Float32 [d], the unit embedding of a text."""
        return _vector(self.text(text))


def load_internvideo2(weights: str) -> VideoEmbedder:
    """InternVideo2, stage 2, with its text encoder: four frames of 224 by 224."""
    model = _model(weights)
    return internvideo2(model, weights)


def internvideo2(model: Any, weights: str) -> VideoEmbedder:
    """The embedder around a loaded model that has ``get_vid_feat`` and ``get_txt_feat``."""
    torch = require_package("torch", "curate")

    def video(frames: np.ndarray) -> Any:
        pixels = torch.from_numpy(prepared(frames, _SIDE, _MEAN, _STD)).permute(0, 3, 1, 2)[None]
        with torch.inference_mode():
            return model.get_vid_feat(beside(model, pixels))

    def text(words: str) -> Any:
        with torch.inference_mode():
            return model.get_txt_feat(words)

    return VideoEmbedder(
        name="internvideo2", weights=weights, num_frames=4, max_side_px=512, video=video, text=text
    )


def load_cosmos_embed1(weights: str) -> VideoEmbedder:
    """Cosmos-Embed1 of any resolution: eight frames, prepared by the processor that comes with it."""
    transformers = require_package("transformers", "models")
    model = _model(weights)
    processor = transformers.AutoProcessor.from_pretrained(weights, trust_remote_code=True)
    return cosmos_embed1(model, processor, weights)


def cosmos_embed1(model: Any, processor: Any, weights: str) -> VideoEmbedder:
    """The embedder around a loaded model and processor."""
    torch = require_package("torch", "curate")

    def video(frames: np.ndarray) -> Any:
        batch = np.ascontiguousarray(frames.transpose(0, 3, 1, 2))[None]
        with torch.inference_mode():
            return model.get_video_embeddings(**beside(model, processor(videos=batch))).visual_proj

    def text(words: str) -> Any:
        with torch.inference_mode():
            return model.get_text_embeddings(**beside(model, processor(text=[words]))).text_proj

    return VideoEmbedder(
        name="cosmos-embed1", weights=weights, num_frames=8, max_side_px=512, video=video, text=text
    )


def _model(weights: str) -> Any:
    transformers = require_package("transformers", "models")
    if not Path(weights, "config.json").is_file():
        raise ConfigError(
            f"weights {weights!r} must be a folder with config.json and the model's code, got none; download it first"
        )
    try:
        return transformers.AutoModel.from_pretrained(weights, trust_remote_code=True).to(device()).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"weights {weights!r} must be a model of transformers, got {error}; see its card"
        ) from error


def _vector(values: Any) -> np.ndarray:
    array = values.detach().float().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
    return unit(array.reshape(-1))

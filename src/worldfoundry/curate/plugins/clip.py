"""CLIP through transformers: embeddings of frames and of text, and the LAION head that scores aesthetics.

The weights are a folder as ``save_pretrained`` of transformers writes it, or a name on its hub; for aesthetics the folder
also holds the head, ``head.safetensors`` or the published ``*.pth``, five linear layers on a unit embedding.

Source: CLIP (arXiv 2103.00020); head: christophschuhmann/improved-aesthetic-predictor.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from worldfoundry.core.errors import CheckpointError, ConfigError, require_package
from worldfoundry.curate.plugins.device import beside, device

_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_HEAD_LAYERS = ("layers.0", "layers.2", "layers.4", "layers.6", "layers.7")
_DIGESTED_BYTES = 1 << 20


@dataclass(frozen=True)
class Clip:
    """The model; callable as an enricher."""

    weights: str
    """Folder or hub name."""
    model: Any
    """transformers' CLIPModel."""
    num_frames: int = 8
    """Frames whose embeddings are averaged."""
    max_side_px: int = 512
    """Longer side of these frames at most."""
    name: str = "clip"
    """Stands in the name of its results."""

    @cached_property
    def version(self) -> str:
        """Digest of the weights."""
        return digest_of_weights(self.weights)

    def __call__(self, frames: np.ndarray, seconds: np.ndarray) -> dict[str, Any]:
        """The unit mean of the frames' unit embeddings."""
        del seconds
        return {"embedding": unit(self.embed(frames).mean(0))}

    def embed(self, frames: np.ndarray) -> np.ndarray:
        """Float32 [t, d], a unit embedding for each of uint8 [t, h, w, 3]."""
        torch = require_package("torch", "curate")
        side = int(self.model.config.vision_config.image_size)
        pixels = torch.from_numpy(prepared(frames, side, _MEAN, _STD)).permute(0, 3, 1, 2)
        with torch.inference_mode():
            return unit(
                _tensor(self.model.get_image_features(pixel_values=beside(self.model, pixels))).cpu().numpy()
            )

    def embed_text(self, text: str) -> np.ndarray:
        """Float32 [d], the unit embedding of a text."""
        torch = require_package("torch", "curate")
        tokens = self._tokenizer([text], return_tensors="pt", truncation=True, padding=True)
        with torch.inference_mode():
            return unit(_tensor(self.model.get_text_features(**beside(self.model, tokens))).cpu().numpy())[0]

    @cached_property
    def _tokenizer(self) -> Any:
        return require_package("transformers", "models").AutoTokenizer.from_pretrained(self.weights)


@dataclass(frozen=True)
class Aesthetics:
    """CLIP with the LAION head: the lowest score over the frames, about 1 to 10."""

    clip: Clip
    """Embeds the frames."""
    layers: Sequence[tuple[np.ndarray, np.ndarray]]
    """Weight [out, in] and bias [out] of each layer of the head."""
    name: str = "clip_aesthetics"
    """Stands in the name of its results."""

    @property
    def version(self) -> str:
        """Digest of the weights."""
        return self.clip.version

    @property
    def num_frames(self) -> int:
        """Frames it looks at."""
        return self.clip.num_frames

    @property
    def max_side_px(self) -> int:
        """Longer side of these frames at most."""
        return self.clip.max_side_px

    def __call__(self, frames: np.ndarray, seconds: np.ndarray) -> dict[str, Any]:
        """The score."""
        del seconds
        values = self.clip.embed(frames)
        for weight, bias in self.layers:  # the head has no activations between its layers
            values = values @ weight.T + bias
        return {"aesthetics": float(values.min())}


def load(weights: str) -> Clip:
    """CLIP from a folder or a hub name."""
    transformers = require_package("transformers", "models")
    try:
        model = transformers.CLIPModel.from_pretrained(weights)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"weights {weights!r} must be a CLIP model of transformers, got {error}; see its docs"
        ) from error
    return Clip(weights=weights, model=model.to(device()).eval())


def load_aesthetics(weights: str) -> Aesthetics:
    """CLIP and the head from one folder."""
    heads = sorted(p for p in Path(weights).glob("*") if p.name == "head.safetensors" or p.suffix == ".pth")
    if len(heads) != 1:
        raise ConfigError(
            f"weights {weights!r} must hold one head, head.safetensors or the published .pth, got {len(heads)}; put it there"
        )
    return Aesthetics(clip=load(weights), layers=read_head(heads[0]))


def read_head(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """The layers of an aesthetics head; what does not fit together raises."""
    if path.suffix == ".safetensors":
        state = require_package("safetensors.numpy", "curate").load_file(path)
    else:
        torch = require_package("torch", "curate")
        state = {
            k: v.float().numpy() for k, v in torch.load(path, map_location="cpu", weights_only=True).items()
        }
    names = {f"{layer}.{part}" for layer in _HEAD_LAYERS for part in ("weight", "bias")}
    if set(state) != names:
        raise CheckpointError(
            f"{path} must hold {sorted(names)}, got {sorted(state)}; take the published head"
        )
    layers = [(state[f"{layer}.weight"], state[f"{layer}.bias"]) for layer in _HEAD_LAYERS]
    for (before, _), (after, _) in pairwise(layers):
        if before.shape[0] != after.shape[1]:
            raise CheckpointError(
                f"{path}: layers must fit, got {before.shape} before {after.shape}; take the published head"
            )
    return layers


def prepared(frames: np.ndarray, side: int, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Float32 [t, side, side, 3]: shorter side scaled to ``side``, middle cut out, normalised."""
    cv2 = require_package("cv2", "curate")
    height, width = frames.shape[1:3]
    scale = side / min(height, width)
    size = (max(side, round(width * scale)), max(side, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    top, left = (size[1] - side) // 2, (size[0] - side) // 2
    resized = [
        cv2.resize(frame, size, interpolation=how)[top : top + side, left : left + side] for frame in frames
    ]
    return ((np.stack(resized).astype(np.float32) / 255 - mean) / std).astype(np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Float32 vectors of length 1 along the last axis."""
    values = np.asarray(vectors, np.float32)
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12)


def digest_of_weights(weights: str) -> str:
    """Sixteen hex digits from the names, sizes and beginnings of the files; a hub name stands for itself."""
    digest = hashlib.sha256()
    path = Path(weights)
    for file in sorted(p for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file()):
        digest.update(f"{file.name} {file.stat().st_size} ".encode())
        with file.open("rb") as opened:
            digest.update(opened.read(_DIGESTED_BYTES))
    if not path.exists():
        digest.update(weights.encode())
    return digest.hexdigest()[:16]


def _tensor(output: Any) -> Any:
    """Features as a tensor: newer versions of transformers wrap them."""
    return getattr(output, "pooler_output", output).float()

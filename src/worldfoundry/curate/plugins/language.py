"""A vision-language model on this machine, through transformers: frames and a question in, text out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from worldfoundry.core.errors import ConfigError, require_package
from worldfoundry.curate.plugins.device import beside, device
from worldfoundry.curate.plugins.endpoint import Answer


@dataclass(frozen=True)
class LanguageModel:
    """Asked about one clip at a time; always gives the likeliest words."""

    model: Any
    """transformers' model for images and text."""
    processor: Any
    """Its processor."""
    max_tokens: int
    """Length of an answer at most."""

    def ask(self, frames: np.ndarray, prompt: str) -> Answer:
        """Show frames, uint8 [t, h, w, 3], and ask."""
        torch = require_package("torch", "curate")
        content = [{"type": "image", "image": frame} for frame in frames] + [{"type": "text", "text": prompt}]
        inputs = self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        with torch.inference_mode():
            output = self.model.generate(
                **beside(self.model, inputs), max_new_tokens=self.max_tokens, do_sample=False
            )
        num_prompt = inputs["input_ids"].shape[1]
        said = output[0, num_prompt:]
        text = self.processor.decode(said, skip_special_tokens=True).strip()
        counts: dict[str, Any] = {"num_prompt_tokens": int(num_prompt), "num_output_tokens": len(said)}
        if not text:
            return Answer(outcome="error", detail="an empty answer", **counts)
        if len(said) >= self.max_tokens:
            return Answer(outcome="truncated", text=text, detail="max_tokens reached", **counts)
        return Answer(outcome="success", text=text, **counts)


def load_language(weights: str, *, max_tokens: int) -> LanguageModel:
    """A model for images and text from a folder or a hub name."""
    transformers = require_package("transformers", "models")
    try:
        processor = transformers.AutoProcessor.from_pretrained(weights)
        model = transformers.AutoModelForImageTextToText.from_pretrained(weights)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"model {weights!r} must be a vision-language model of transformers, got {error}"
        ) from error
    return LanguageModel(model=model.to(device()).eval(), processor=processor, max_tokens=max_tokens)

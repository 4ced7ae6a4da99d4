"""The table of recipes."""

from collections.abc import Callable

from worldfoundry.core.registry import Registry
from worldfoundry.training.config import TrainConfig

RECIPES: Registry[Callable[[], TrainConfig]] = Registry(
    "recipe",
    {
        "wavetok-c-t4s8z16-nano": "worldfoundry.recipes.tokenizer:wavetok_nano",
        "wavetok-c-t4s8z16-nano-decoder": "worldfoundry.recipes.tokenizer:wavetok_nano_decoder",
        "wavetok-c-t4s8z16-nano-decoder-debug": "worldfoundry.recipes.tokenizer:wavetok_nano_decoder_debug",
        "wavetok-c-t4s8z16-nano-debug": "worldfoundry.recipes.tokenizer:wavetok_nano_debug",
        "wavetok-c-t4s8z16-nano-staged": "worldfoundry.recipes.tokenizer:wavetok_staged_nano",
        "wavetok-c-t4s8z16-nano-staged-debug": "worldfoundry.recipes.tokenizer:wavetok_staged_nano_debug",
        "wavetok-d-t4s8-nano": "worldfoundry.recipes.tokenizer:wavetok_discrete_nano",
        "wavetok-d-t4s8-nano-debug": "worldfoundry.recipes.tokenizer:wavetok_discrete_nano_debug",
        "cosmos-cv8x8x8-finetune": "worldfoundry.recipes.tokenizer:cosmos_cv8x8x8_finetune",
        "cosmos-cv8x8x8-finetune-debug": "worldfoundry.recipes.tokenizer:cosmos_cv8x8x8_finetune_debug",
        "dit-v2w-nano": "worldfoundry.recipes.worlds:dit_v2w_nano",
        "dit-v2w-nano-debug": "worldfoundry.recipes.worlds:dit_v2w_nano_debug",
    },
)

import json

import pytest

from worldfoundry.core.config import from_json, to_json
from worldfoundry.core.errors import UnknownNameError
from worldfoundry.recipes.table import RECIPES
from worldfoundry.training.config import TrainConfig


@pytest.mark.parametrize("name", RECIPES.names())
def test_a_recipe_survives_json_and_carries_its_own_name(name):
    config = RECIPES.get(name)()
    assert config.recipe == name
    assert from_json(TrainConfig, json.loads(json.dumps(to_json(config)))) == config


@pytest.mark.parametrize("name", [n for n in RECIPES.names() if not n.endswith("-debug")])
def test_every_recipe_has_a_debug_twin_of_seconds(name):
    assert RECIPES.get(f"{name}-debug")().steps <= 2


def test_a_typo_offers_the_nearest_recipe():
    with pytest.raises(UnknownNameError, match="dit-v2w-nano"):
        RECIPES.get("dit-v2w-nan")

import sys
from dataclasses import replace
from subprocess import run

import pytest

from worldfoundry.core.errors import ConfigError
from worldfoundry.models.diffusion.config import DiTConfig, EDMConfig, official_7b_text2world

NANO = DiTConfig(model_channels=48, num_blocks=1, num_heads=2, adaln_lora_dim=4, text_channels=8)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_heads", 5),
        ("num_heads", 8),
        ("num_blocks", 0),
        ("mlp_ratio", float("nan")),
        ("max_latent_width", 7),
        ("rope_ratio_t", -1.0),
    ],
)
def test_a_wrong_network_setting_is_refused_by_name_with_its_value(field, value):
    with pytest.raises(ConfigError, match=rf"{field}|model_channels / num_heads") as caught:
        replace(NANO, **{field: value})
    assert str(value) in str(caught.value)
    assert ";" in str(caught.value), "the message carries a fix"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sigma_data", 0.0),
        ("sigma_min", 100.0),
        ("p_mean", float("inf")),
        ("p_std", 0.0),
    ],
)
def test_a_wrong_noise_setting_is_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=field):
        replace(EDMConfig(), **{field: value})


def test_the_published_position_tables_have_their_lengths():
    assert official_7b_text2world().max_grid == (128, 120, 120)
    assert official_7b_text2world().in_channels * 4 == 68


def test_the_configuration_imports_no_torch():
    code = "import sys, worldfoundry.models.diffusion.config; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0

from dataclasses import replace

import pytest
import torch

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.models.autoregressive.config import AutoregressiveConfig, YarnConfig, published
from worldfoundry.models.autoregressive.transformer import AutoregressiveTransformer

BASE = AutoregressiveConfig(
    dim=36,
    num_layers=3,
    num_heads=4,
    num_kv_heads=2,
    head_dim=8,
    hidden_dim=40,
    vocab_size=32,
    latent_shape=(3, 2, 2),
)
TEXT = replace(BASE, has_begin_token=True, has_absolute_positions=True, text_dim=6, text_every=2)


def network(config: AutoregressiveConfig = BASE) -> AutoregressiveTransformer:
    torch.manual_seed(0)
    return AutoregressiveTransformer(config).eval()


def tokens(config: AutoregressiveConfig = BASE, b: int = 2) -> torch.Tensor:
    return torch.randint(
        0, config.vocab_size, (b, config.num_tokens), generator=torch.Generator().manual_seed(1)
    )


@pytest.mark.parametrize(
    ("name", "parameters", "keys"),
    [
        ("Cosmos-Predict1-4B", 4_014_088_192, 179),
        ("Cosmos-Predict1-12B", 11_560_975_360, 443),
        ("Cosmos-Predict1-5B-Video2World", 4_584_845_312, 291),
        ("Cosmos-Predict1-13B-Video2World", 13_323_125_760, 723),
    ],
)
def test_the_published_sizes_are_met(name, parameters, keys):
    with torch.device("meta"):
        net = AutoregressiveTransformer(published()[name])
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert len(net.state_dict()) == keys
    wide = net.state_dict()["layers.0.attention.wq.weight"]
    assert wide.shape[0] == 4096


@torch.no_grad()
@pytest.mark.parametrize(
    "config", [BASE, TEXT, replace(BASE, has_qk_norm=False, num_kv_heads=4, yarn=YarnConfig())]
)
def test_pieces_and_single_tokens_give_what_the_whole_gives(config):
    net, x = network(config), tokens(config)
    text = net.read_text(torch.randn(2, 5, 6)) if config.text_dim else None
    whole = net(x, text=text)
    cache, pieces = net.new_cache(), x.split([5, 1, 1, x.shape[1] - 7], dim=1)
    found = [net(piece, text=text, cache=cache) for piece in pieces]
    assert torch.allclose(torch.cat(found, dim=1), whole, atol=1e-5)
    assert cache.length == x.shape[1]


@torch.no_grad()
def test_no_token_sees_what_comes_after_it():
    net, x = network(), tokens()
    before = net(x)
    x[:, 7] = (x[:, 7] + 1) % BASE.vocab_size
    after = net(x)
    assert torch.equal(before[:, :7], after[:, :7])
    assert (before[:, 7:] - after[:, 7:]).abs().amin(dim=(0, 2)).min() >= 0
    assert not torch.allclose(before[:, 7:], after[:, 7:])


@torch.no_grad()
def test_a_fork_goes_its_own_way():
    net, x = network(), tokens(b=1)
    cache = net.new_cache()
    net(x[:, :6], cache=cache)
    fork = cache.fork(3)
    others = torch.tensor([[1], [2], [3]])
    net(others, cache=fork)
    alone = net(x[:, 6:8], cache=cache)
    assert torch.allclose(alone, net(x[:, :8])[:, 6:], atol=1e-5)
    line = torch.cat((x[:, :6].expand(3, -1), others), dim=1)
    assert fork.length == 7
    assert torch.allclose(
        net(x[:, :1].expand(3, 1), cache=fork)[:, -1],
        net(torch.cat((line, x[:, :1].expand(3, 1)), 1))[:, -1],
        atol=1e-5,
    )


@torch.no_grad()
def test_tokens_that_are_taken_back_leave_no_trace():
    net, x = network(), tokens()
    cache = net.new_cache()
    net(x[:, :4], cache=cache)
    net(x[:, 6:9], cache=cache)
    cache.length = 4
    assert torch.allclose(net(x[:, 4:7], cache=cache), net(x[:, :7])[:, 4:], atol=1e-5)


@torch.no_grad()
def test_places_and_mask_let_tokens_come_in_any_order():
    net, x = network(), tokens()
    whole = net.hidden(x)
    cache = net.new_cache()
    net.hidden(x[:, :4], cache=cache)
    order = torch.tensor([5, 4, 6])
    mask = torch.tensor(
        [[1, 1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 1, 0], [1, 1, 1, 1, 1, 1, 1]], dtype=torch.bool
    )
    found = net.hidden(x[:, order], cache=cache, places=order, mask=mask)
    assert torch.allclose(found, whole[:, order], atol=1e-5)


@torch.no_grad()
def test_every_layer_that_should_reads_the_text():
    net, x = network(TEXT), tokens(TEXT)
    text = torch.randn(2, 5, 6)
    assert [layer.attends_to_text for layer in net.layers] == [True, False, True]
    assert not torch.allclose(net(x, text=net.read_text(text)), net(x, text=net.read_text(2 - text)))
    mask = torch.tensor([[True] * 3 + [False] * 2] * 2)
    hidden = net(x, text=net.read_text(text, mask))
    assert torch.allclose(hidden, net(x, text=net.read_text(text[:, :3])), atol=1e-6)
    doubled = net(x.repeat_interleave(2, 0), text=net.read_text(text).repeat(2))
    assert torch.allclose(doubled[::2], net(x, text=net.read_text(text)), atol=1e-6)


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="num_heads must be a multiple of num_kv_heads"):
        replace(BASE, num_kv_heads=3)
    with pytest.raises(ConfigError, match="yarn must have scale"):
        YarnConfig(beta_slow=5.0)
    with pytest.raises(DataError, match="this model takes no text, got one"):
        network()(tokens(), text=network(TEXT).read_text(torch.zeros(2, 1, 6)))
    with pytest.raises(DataError, match=r"text must be \[b m 6\]"):
        network(TEXT).read_text(torch.zeros(2, 1, 7))
    with pytest.raises(DataError, match=r"has 64 places, got 65 tokens"):
        network()(torch.zeros(1, 65, dtype=torch.long))

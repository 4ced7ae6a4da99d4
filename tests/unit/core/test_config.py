import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldfoundry.core.config import digest, from_json, load_config, save_config, to_json
from worldfoundry.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    kind: Literal["adamw"] = "adamw"
    rate: float = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Muon:
    kind: Literal["muon"] = "muon"
    momentum: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    width: int
    mode: Literal["causal", "full"] = "causal"
    strides: tuple[int, int] = (4, 8)
    channels: tuple[int, ...] = ()

    def __post_init__(self):
        if self.width < 1:
            raise ConfigError(f"width must be at least 1, got {self.width}; use 64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    network: Network
    optimiser: AdamW | Muon = field(default_factory=AdamW)
    seed: int | None = None
    steps: int | float = 10
    out: Path = Path("runs")
    blocks: tuple[Network, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    is_debug: bool = False


@dataclass(frozen=True)
class Renamed:
    size: int
    SCHEMA: ClassVar[int] = 3
    MIGRATIONS: ClassVar[dict[int, Any]] = {
        1: lambda d: {"extent": d["width"]},
        2: lambda d: {"size": d["extent"]},
    }


networks = st.builds(
    Network,
    width=st.integers(1, 4096),
    mode=st.sampled_from(["causal", "full"]),
    strides=st.tuples(st.integers(), st.integers()),
    channels=st.lists(st.integers(), max_size=4).map(tuple),
)
finite = st.floats(allow_nan=False, allow_infinity=False)
trainings = st.builds(
    Training,
    network=networks,
    optimiser=st.one_of(st.builds(AdamW, rate=finite), st.builds(Muon, momentum=finite)),
    seed=st.none() | st.integers(),
    steps=st.integers() | finite,
    out=st.just(Path("a/b")),
    blocks=st.lists(networks, max_size=2).map(tuple),
    weights=st.dictionaries(st.text(max_size=5), finite, max_size=3),
    is_debug=st.booleans(),
)


def data(**changes) -> dict:
    return {"schema": 1, "network": {"width": 8}, **changes}


@given(trainings)
def test_any_configuration_survives_json_text(config):
    again = from_json(Training, json.loads(json.dumps(to_json(config))))
    assert again == config
    assert type(again.steps) is type(config.steps)
    assert digest(again) == digest(config) == digest(to_json(config))


@given(trainings, trainings)
def test_digests_agree_exactly_if_the_documents_do(a, b):
    texts = [json.dumps(to_json(config), sort_keys=True) for config in (a, b)]
    assert (digest(a) == digest(b)) == (texts[0] == texts[1])


def test_defaults_fill_what_the_document_leaves_out():
    assert from_json(Training, data()) == Training(network=Network(width=8))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            data(network={"width": 8, "chanels": [1]}),
            r"network\.chanels is not a setting of Network; did you mean 'channels'",
        ),
        (data(network={}), r"network\.width is required by Network and is missing"),
        (data(network={"width": 8.0}), r"network\.width must be int, got 8\.0"),
        (data(network={"width": True}), r"network\.width must be int, got True"),
        (
            data(network={"width": 8, "mode": "casual"}),
            r"network\.mode must be one of 'causal', 'full', got 'casual'",
        ),
        (data(network={"width": 8, "strides": [4]}), r"network\.strides must have 2 values, got 1"),
        (data(network={"width": 8, "channels": [1, "2"]}), r"network\.channels\[1\] must be int, got '2'"),
        (data(network={"width": 0}), r"config\.json: network: width must be at least 1, got 0"),
        (
            data(blocks=[{"width": 1}, {"widht": 1}]),
            r"blocks\[1\]\.widht is not a setting of Network; did you mean 'width'",
        ),
        (data(optimiser={"kind": "muon", "rate": 1}), r"optimiser\.rate is not a setting of Muon"),
        (data(optimiser={"kind": "sgd"}), r"optimiser must be one of AdamW, Muon"),
        (data(seed="1"), r"seed must be int, got '1'"),
        (data(weights=[1]), r"weights must be an object, got \[1\]"),
        (data(is_debug=1), r"is_debug must be bool, got 1"),
        (data(network=None), r"network must be an object \(Network\), got None"),
        ({"network": {"width": 8}}, r'"schema" is missing; add "schema": 1'),
        (data(schema=2), r'"schema" must be 1 to 1, got 2'),
        (data(schema="1"), r'"schema" must be 1 to 1, got \'1\''),
        ([], r"the document must be an object, got list"),
    ],
)
def test_an_error_names_the_document_the_field_and_the_rule(document, message):
    with pytest.raises(ConfigError, match=message) as caught:
        from_json(Training, document)
    assert str(caught.value).startswith("config.json: ")
    assert "\n" not in str(caught.value)


def test_an_integer_is_taken_for_a_float():
    optimiser = from_json(Training, data(optimiser={"rate": 1})).optimiser
    assert isinstance(optimiser, AdamW)
    assert type(optimiser.rate) is float


def test_old_schemas_are_brought_forward_one_by_one():
    for schema, name in ((1, "width"), (2, "extent"), (3, "size")):
        assert from_json(Renamed, {"schema": schema, name: 7}) == Renamed(size=7)
    assert to_json(Renamed(size=7)) == {"schema": 3, "size": 7}


def test_a_schema_without_a_migration_is_an_error():
    @dataclass(frozen=True)
    class Forgetful:
        SCHEMA: ClassVar[int] = 2
        size: int = 0

    with pytest.raises(ConfigError, match="schema 1 is no longer read"):
        from_json(Forgetful, {"schema": 1})


def test_what_json_cannot_hold_is_an_error_at_writing():
    with pytest.raises(ConfigError, match=r"optimiser\.rate must be finite"):
        to_json(Training(network=Network(width=1), optimiser=AdamW(rate=float("nan"))))
    with pytest.raises(ConfigError, match=r"network holds a object"):
        to_json(dataclasses.replace(Training(network=Network(width=1)), network=object()))


def test_a_file_round_trips_and_a_broken_one_is_named(tmp_path):
    config, path = Training(network=Network(width=3)), tmp_path / "config.json"
    save_config(config, path)
    assert load_config(Training, path) == config
    path.write_text('{"schema": 1,')
    with pytest.raises(ConfigError, match=r"config\.json: expected a JSON configuration"):
        load_config(Training, path)
    with pytest.raises(ConfigError, match="absent"):
        load_config(Training, tmp_path / "absent.json")

import dataclasses
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldfoundry.core.config import from_json, load_config, save_config, to_json
from worldfoundry.core.errors import ConfigError
from worldfoundry.protocols.control import (
    ActionChannel,
    ActionSpec,
    CameraSpec,
    ControlSpec,
    TrajectorySpec,
    bridge_actions,
    check_match,
    differences,
)

K = ((100.0, 0.0, 64.0), (0.0, 100.0, 48.0), (0.0, 0.0, 1.0))
LEFT = ((0.0, -1.0, 0.0, 0.5), (1.0, 0.0, 0.0, -0.5), (0.0, 0.0, 1.0, 1.5), (0.0, 0.0, 0.0, 1.0))


def rig(*names):
    return tuple(
        CameraSpec(name=n, width=128, height=96, intrinsics=K, mount="ego", mount_from_camera=LEFT)
        for n in names
    )


FULL = ControlSpec(
    actions=bridge_actions(),
    cameras=rig("front", "wrist"),
    trajectory=TrajectorySpec(num_points=8, spacing_seconds=0.5),
)


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 40),
    views=st.integers(0, 9),
    rate=st.floats(0.1, 1000),
    scale=st.floats(1e-6, 1e6),
    has_actions=st.booleans(),
)
def test_any_width_any_views_and_any_rate_come_back_from_json(width, views, rate, scale, has_actions):
    channels = tuple(
        ActionChannel(name=f"a{i}", unit="rad", frame="joint", mode="absolute", scale=scale)
        for i in range(width)
    )
    spec = ControlSpec(
        actions=ActionSpec(channels=channels, rate_hz=rate, per_latent=3) if has_actions else None,
        cameras=rig(*map(str, range(views))),
    )
    again = from_json(ControlSpec, json.loads(json.dumps(to_json(spec))))
    assert again == spec
    check_match(spec, again, where="here")


def test_a_file_is_what_was_saved(tmp_path):
    save_config(FULL, tmp_path / "controls.json")
    assert load_config(ControlSpec, tmp_path / "controls.json") == FULL


def paths(value, path=()):
    """Where the leaves of a document are."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [p for key, inner in items for p in paths(inner, (*path, key))]
    return found or [path]


def changed(document, path, value):
    document = json.loads(json.dumps(document))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


def other(value):
    """A value of the same kind that differs."""
    words = {"delta": "absolute", "absolute": "delta", "fixed": "per_frame"}
    return words.get(value, f"{value}2") if isinstance(value, str) else value + 1


def test_every_field_that_differs_is_told_alone_with_both_values():
    document = to_json(FULL)
    compared = 0
    for path in paths(document):
        value = document
        for key in path:
            value = value[key]
        try:
            theirs = from_json(ControlSpec, changed(document, path, other(value)))
        except ConfigError:
            continue  # not a valid value: fixed schema, rigid poses, one projection
        compared += 1
        found = differences(FULL, theirs)
        assert len(found) == 1, path
        (field,) = found
        named = [key for key in path if isinstance(key, str)]
        assert [part.split("[")[0] for part in field.split(".")] == named
        with pytest.raises(ConfigError) as error:
            check_match(FULL, theirs, where="loading run-7", our_name="checkpoint", their_name="data")
        assert str(error.value).startswith("loading run-7: ")
        assert f"{field}: checkpoint " in str(error.value)
        assert str(error.value).count("checkpoint ") == 1
        if not isinstance(found[field][0], list):
            assert f"checkpoint {value!r}, data {other(value)!r}" in str(error.value)
    assert compared > 60


@pytest.mark.parametrize("dropped", ["actions", "cameras", "trajectory"])
def test_a_part_that_one_side_lacks_is_a_difference(dropped):
    less = replace(FULL, **{dropped: () if dropped == "cameras" else None})
    for ours, theirs in ((FULL, less), (less, FULL)):
        assert list(differences(ours, theirs)) == [dropped]
    assert differences(FULL, None)
    assert not differences(None, None)


def test_the_order_of_names_matters():
    channels = FULL.actions.channels
    swapped = replace(FULL, actions=replace(FULL.actions, channels=(channels[1], channels[0], *channels[2:])))
    assert list(differences(FULL, swapped)) == ["actions.channels[0].name", "actions.channels[1].name"]
    assert next(iter(differences(FULL, replace(FULL, cameras=FULL.cameras[::-1])))) == "cameras[0].name"


def test_another_width_or_number_of_views_is_shown_by_names():
    wide = replace(FULL, actions=replace(FULL.actions, channels=FULL.actions.channels[:6]))
    with pytest.raises(ConfigError, match=r"ours 7 \(dx, .*gripper\), theirs 6 \(dx, .*dyaw\)"):
        check_match(FULL, wide, where="here")
    with pytest.raises(ConfigError, match=r"cameras: ours 2 \(front, wrist\), theirs none"):
        check_match(FULL, replace(FULL, cameras=()), where="here")


def test_unknown_and_missing_fields_are_named():
    document = to_json(FULL)
    document["actions"]["channels"][3]["units"] = "m"
    with pytest.raises(ConfigError, match=r"set\.json: actions\.channels\[3\]\.units is not.*'unit'"):
        from_json(ControlSpec, document, where="set.json")
    document = to_json(FULL)
    del document["actions"]["rate_hz"]
    with pytest.raises(ConfigError, match=r"actions\.rate_hz is required"):
        from_json(ControlSpec, document)


def test_actions_a_latent_follow_the_clock_of_video_and_tokenizer_or_are_an_error():
    actions = bridge_actions(rate_hz=10.0, per_latent=1)
    assert [actions.at_clock(fps=10.0, temporal_stride=n).per_latent for n in (1, 4, 8)] == [1, 4, 8]
    assert bridge_actions(rate_hz=30.0).at_clock(fps=10.0, temporal_stride=4).per_latent == 12
    for fps, stride in ((9.9, 4), (3.0, 1), (80.0, 4)):
        with pytest.raises(ConfigError, match=r"per_latent must be whole: .* got"):
            actions.at_clock(fps=fps, temporal_stride=stride)


MIRROR = ((-1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), LEFT[3])
SCALED = (*(tuple(2 * x for x in row) for row in LEFT[:3]), LEFT[3])
TRANSPOSED = tuple(zip(*LEFT, strict=True))


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        *((FULL.cameras[0], "mount_from_camera", m) for m in (MIRROR, SCALED, TRANSPOSED, LEFT[:3])),
        (FULL.cameras[0], "intrinsics", tuple(zip(*K, strict=True))),
        (FULL.cameras[0], "intrinsics", tuple(tuple(float("nan") for _ in row) for row in K)),
        (FULL.cameras[0], "width", 0),
        (FULL.actions, "rate_hz", float("inf")),
        (FULL.actions, "per_latent", 0),
        (FULL.actions, "channels", ()),
        (FULL.actions, "channels", FULL.actions.channels + FULL.actions.channels[:1]),
        (FULL.actions.channels[0], "unit", " "),
        (FULL.actions.channels[0], "scale", 0.0),
        (FULL.trajectory, "spacing_seconds", -0.1),
        (FULL, "cameras", FULL.cameras + FULL.cameras[:1]),
    ],
)
def test_what_has_no_meaning_is_refused_by_its_field(part, field, value):
    with pytest.raises(ConfigError, match=field):
        dataclasses.replace(part, **{field: value})


def test_a_pose_for_each_frame_leaves_no_fixed_one():
    with pytest.raises(ConfigError, match="mount_from_camera must be the identity"):
        replace(FULL.cameras[0], pose="per_frame")

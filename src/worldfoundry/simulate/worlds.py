"""Every world by name; torch and mujoco are not needed to list them."""

from functools import partial

from worldfoundry.core.errors import UnknownNameError
from worldfoundry.simulate.arm.record import ARM
from worldfoundry.simulate.drive.record import record_drive
from worldfoundry.simulate.drive.situation import VARIANTS
from worldfoundry.simulate.physics import record_physics
from worldfoundry.simulate.places import record_place
from worldfoundry.simulate.places.flights import FLIGHTS
from worldfoundry.simulate.recording import World
from worldfoundry.simulate.scenes import SCENES

WORLDS: dict[str, World] = {
    **{name: World(record=partial(record_physics, name)) for name in SCENES},
    **{
        name: World(record=partial(record_place, name), variants=tuple(FLIGHTS))
        for name in ("room", "outdoor")
    },
    "arm": ARM,
    "drive": World(record=record_drive, variants=VARIANTS),
}
"""Worlds in the order in which they are listed."""


def find_world(name: str) -> tuple[World, str | None]:
    """World and variant of ``arm`` (no variant: drawn from the seed) or ``arm/push``; the nearest name is offered."""
    world, slash, variant = name.partition("/")
    if world not in WORLDS:
        raise UnknownNameError("scene", name, world_names())
    if slash and variant not in WORLDS[world].variants:
        raise UnknownNameError("scene", name, world_names())
    return WORLDS[world], variant or None


def world_names() -> list[str]:
    """Everything that can be asked for: worlds, and worlds with each of their variants."""
    return [
        name
        for world, kind in WORLDS.items()
        for name in (world, *(f"{world}/{variant}" for variant in kind.variants))
    ]

"""Static rooms and land with camera flights: the worlds ``room`` and ``outdoor``, drawn from a seed."""

from collections.abc import Callable

import numpy as np

from worldfoundry.simulate.places.captions import caption_of
from worldfoundry.simulate.places.flights import FLIGHTS, Flight
from worldfoundry.simulate.places.outdoor import draw_outdoor
from worldfoundry.simulate.places.pieces import model_text
from worldfoundry.simulate.places.place import Place
from worldfoundry.simulate.places.room import draw_room
from worldfoundry.simulate.places.survey import Surveyor
from worldfoundry.simulate.recording import Recording, Viewpoint
from worldfoundry.simulate.render.context import import_mujoco
from worldfoundry.simulate.scenes.looks import Surface

_MOST_PLACES, _MOST_FLIGHTS = 32, 48
_CAPTION_LOOKS = 8
_PLACES: dict[str, Callable[[np.random.Generator], Place]] = {"room": draw_room, "outdoor": draw_outdoor}


def record_place(name: str, *, seed: int, num_frames: int, fps: float, variant: str | None) -> Recording:
    """A flight through a place: ``room`` or ``outdoor``; ``variant`` is one of ``FLIGHTS``, or drawn from the seed."""
    place, flight, xml, surfaces, surveyor = _draw(name, seed, variant)
    seconds = np.arange(num_frames) / fps
    poses, fov = flight.poses(seconds)
    some = np.unique(np.linspace(0, num_frames - 1, _CAPTION_LOOKS).astype(int))
    shares = surveyor.bodies_seen(poses[some], fov[some])[1:]
    return Recording(
        xml=xml,
        surfaces=surfaces,
        light=place.light,
        qpos=np.zeros((num_frames, 0)),
        qvel=np.zeros((num_frames, 0)),
        viewpoints=(Viewpoint(name="front", world_from_camera=poses, fov_rad=fov),),
        caption=caption_of(place, flight, shares, returns=bool(seconds[-1] > flight.leg_seconds)),
        facts={
            "place": place.kind,
            "flight": flight.name,
            "leg_seconds": flight.leg_seconds,
            **flight.facts,
            **({"subject": flight.subject.name} if flight.subject else {}),
            "nouns": {thing.name: thing.piece.noun for thing in place.things},
        },
    )


def _draw(
    name: str, seed: int, variant: str | None
) -> tuple[Place, Flight, str, tuple[Surface, ...], Surveyor]:
    """The seed's first place through which a drawn flight goes well."""
    mujoco = import_mujoco()
    rng = np.random.default_rng(seed)
    drawn = tuple(FLIGHTS)[int(rng.integers(len(FLIGHTS)))]
    for _ in range(_MOST_PLACES):
        place = _PLACES[name](rng)
        if not place.subjects:
            continue
        xml, surfaces = model_text(place.ground, place.things, place.light.sun)
        surveyor = Surveyor(place, mujoco.MjModel.from_xml_string(xml), surfaces)
        for _ in range(_MOST_FLIGHTS):
            flight = FLIGHTS[variant or drawn](rng, place)
            if surveyor.is_good(flight):
                return place, flight, xml, surfaces, surveyor
    raise AssertionError(f"{name}/{variant or drawn}: no good flight in {_MOST_PLACES} places of seed {seed}")

"""A situation as text for MuJoCo, with its looks in the same order."""

import numpy as np

from worldfoundry.simulate.drive.paint import SignalPaint
from worldfoundry.simulate.drive.situation import Situation
from worldfoundry.simulate.drive.town import Signal, Town, Tree
from worldfoundry.simulate.drive.vehicles import Fleet
from worldfoundry.simulate.scenes.looks import Surface, mixed, numbers, rgba

_POLE_M = 2.9
_HEAD_M = (0.2, 0.2, 0.68)


def model_of(situation: Situation) -> tuple[str, tuple[Surface, ...], dict[str, str]]:
    """MuJoCo model, looks of its geoms, and what each body is.

    Few bodies, because each costs time for each ray: all buildings are one, as are all trees and all traffic lights.
    """
    town, fleet = situation.town, Fleet(meshes=[], bodies=[], surfaces=[])
    surfaces: list[Surface] = [town.ground]
    kinds: dict[str, str] = {}
    static = []
    for name, (geoms, looks) in _groups(town, fleet).items():
        if geoms:
            static.append(f'<body name="{name}">{"".join(geoms)}</body>')
            surfaces += looks
            kinds[name] = name
    for k, car in enumerate(town.parked):
        pose = f'pos="{car.x:.6f} {car.y:.6f} 0" euler="0 0 {car.yaw:.9f}"'
        fleet.add(f"parked-{k + 1}", car.kind, car.colour, pose=pose, moves=False)
        kinds[f"parked-{k + 1}"] = f"parked {car.kind.noun}"
    for driver in situation.drivers:
        fleet.add(driver.name, driver.kind, driver.colour, moves=True)
        kinds[driver.name] = driver.kind.noun
    xml = (
        '<mujoco><compiler angle="radian"/><option gravity="0 0 0"/>'
        f"<asset>{''.join(fleet.meshes)}</asset><worldbody>"
        f'<geom type="plane" size="0 0 1" {rgba(town.ground.colour)}/>'
        f"{''.join(static)}{''.join(fleet.bodies)}</worldbody></mujoco>"
    )
    return xml, (*surfaces, *fleet.surfaces), kinds


def _groups(town: Town, fleet: Fleet) -> dict[str, tuple[list[str], list[Surface]]]:
    """Geoms and looks of what stands, by name of its body."""
    groups: dict[str, tuple[list[str], list[Surface]]] = {}
    houses, house_looks = groups.setdefault("buildings", ([], []))
    for k, house in enumerate(town.buildings):
        if house.ridge_m > 0:
            corners = numbers(house.corners().ravel())
            fleet.meshes.append(f'<mesh name="house-{k}" vertex="{corners}"/>')
            houses.append(f'<geom type="mesh" mesh="house-{k}" {rgba(house.paint.colour)}/>')
        else:
            half = np.array([house.half_x, house.half_y, house.eaves_m / 2 + 0.15])
            place = np.array([house.x, house.y, house.eaves_m / 2 - 0.15])
            houses.append(
                f'<geom type="box" size="{numbers(half)}" pos="{numbers(place)}" {rgba(house.paint.colour)}/>'
            )
        house_looks.append(house.paint)
    trees, tree_looks = groups.setdefault("trees", ([], []))
    for k, tree in enumerate(town.trees):
        geoms, looks = _tree(tree, seed=town.ground.seed + k)
        trees += geoms
        tree_looks += looks
    signals, signal_looks = groups.setdefault("traffic-lights", ([], []))
    for signal in town.signals:
        geoms, looks = _signal(signal)
        signals += geoms
        signal_looks += looks
    return groups


def _tree(tree: Tree, *, seed: int) -> tuple[list[str], list[Surface]]:
    across, up = tree.crown_m
    bark, middle = (0.35, 0.27, 0.2), tree.trunk_m + 0.75 * up
    geoms = [
        f'<geom type="cylinder" size="0.14 {middle / 2:.4f}" pos="{tree.x:.4f} {tree.y:.4f} {middle / 2 - 0.1:.4f}" '
        f"{rgba(bark)}/>",
        f'<geom type="ellipsoid" size="{across:.4f} {across:.4f} {up:.4f}" pos="{tree.x:.4f} {tree.y:.4f} {middle:.4f}" '
        f"{rgba(tree.colour)}/>",
    ]
    leaves = Surface(
        colour=mixed(tree.colour, (0.0, 0.0, 0.0), 0.35),
        accent=mixed(tree.colour, (0.9, 0.95, 0.4), 0.25),
        pattern="clouds",
        scale_m=0.7,
        seed=seed,
    )
    return geoms, [Surface(colour=bark, accent=bark), leaves]


def _signal(signal: Signal) -> tuple[list[str], list[Surface]]:
    metal, at = (0.3, 0.31, 0.33), (signal.x, signal.y, _POLE_M + _HEAD_M[2])
    pole = f'<geom type="cylinder" size="0.09 {_POLE_M / 2 + 0.05}" pos="{at[0]:.4f} {at[1]:.4f} {_POLE_M / 2 - 0.05}" '
    head = f'<geom type="box" size="{numbers(np.array(_HEAD_M))}" pos="{numbers(np.array(at))}" '
    dark = (0.1, 0.1, 0.1)
    paint = SignalPaint(colour=dark, accent=dark, at_m=at, facing=signal.facing, is_red=signal.is_red)
    return [pole + rgba(metal) + "/>", head + rgba(dark) + "/>"], [Surface(colour=metal, accent=metal), paint]

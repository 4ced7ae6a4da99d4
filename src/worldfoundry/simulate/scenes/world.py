"""One world as text for MuJoCo plus looks, and the builder that collects it."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from worldfoundry.simulate.scenes.looks import Colour, Surface, View, hsv, mixed, numbers, rgba

TIMESTEP_SECONDS = 0.0025
"""Step of the physics."""
Outcome = Literal["all-fall", "some-fall", "moves", "rests"]
"""Every body ends lower; at least one does; at least one moves; none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One world ready to be compiled."""

    xml: str
    """MuJoCo model; every moving body is a child of the world with one free joint."""
    surfaces: tuple[Surface, ...]
    """One for each geom, in the order of the model."""
    view: View
    """Camera and light."""
    body_names: tuple[str, ...]
    """Moving bodies in the order of the model."""
    initial_velocities: np.ndarray
    """float64 [n, 6], linear in the world's axes, then angular in the body's axes."""
    preroll_seconds: float
    """Time simulated before the first frame."""
    outcome: Outcome
    """What the bodies do within some seconds."""


@dataclass(slots=True)
class Builder:
    """Collects geoms, looks and velocities in one order."""

    rng: np.random.Generator
    static: list[str] = field(default_factory=list)
    moving: list[str] = field(default_factory=list)
    static_surfaces: list[Surface] = field(default_factory=list)
    moving_surfaces: list[Surface] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    velocities: list[list[float]] = field(default_factory=list)
    colours: list[Colour] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)

    def __post_init__(self):
        # Evenly spaced hues in a random rotation: neighbours in the list are never alike.
        start = self.rng.uniform()
        hues = [(start + k * 0.382) % 1 for k in range(12)]
        self.colours = [hsv(hue, self.rng.uniform(0.8, 0.95), self.rng.uniform(0.85, 1.0)) for hue in hues]

    def add_static(self, attributes: str, surface: Surface) -> None:
        """Add one geom of the unmoving world."""
        self.static.append(f"<geom {attributes} {rgba(surface.colour)}/>")
        self.static_surfaces.append(surface)

    def add_backdrop(self, *, wall_distance_m: float) -> None:
        """Add the floor and, in two of three scenes, a wall behind the action."""
        rng = self.rng
        hue = rng.uniform()
        pattern = ("clouds", "checker", "clouds", "plain")[rng.integers(4)]
        value = rng.uniform(0.6, 0.82)
        self.add_static(
            'type="plane" size="0 0 1"',
            Surface(
                colour=hsv(hue, rng.uniform(0.05, 0.28), value),
                accent=hsv(
                    hue + rng.uniform(-0.08, 0.08), rng.uniform(0.08, 0.3), value * rng.uniform(0.76, 0.86)
                ),
                pattern=pattern,
                scale_m=rng.uniform(1.1, 1.8) if pattern == "checker" else rng.uniform(2.0, 3.5),
                seed=int(rng.integers(1 << 31)),
            ),
        )
        if rng.uniform() < 2 / 3:
            hue = hue + rng.uniform(0.2, 0.8)
            value = rng.uniform(0.78, 0.95)
            self.add_static(
                f'type="plane" size="0 0 1" pos="0 {wall_distance_m:.4f} 0" zaxis="0 -1 0"',
                Surface(
                    colour=hsv(hue, rng.uniform(0.04, 0.25), value),
                    accent=hsv(hue, rng.uniform(0.08, 0.3), value * 0.86),
                    pattern="clouds",
                    scale_m=rng.uniform(2.5, 4.0),
                    seed=int(rng.integers(1 << 31)),
                ),
            )

    def add_moving(
        self, name: str, attributes: str, pose: str, velocity: list[float], *, stripe_m: float, colour: Colour
    ) -> None:
        """Add one body with a free joint and one geom."""
        density = self.rng.uniform(300, 700)
        self.moving.append(
            f'<body name="{name}" {pose}><freejoint/>'
            f'<geom {attributes} density="{density:.2f}" {rgba(colour)}/></body>'
        )
        light = mixed(colour, (0.98, 0.98, 0.98), 0.75)
        self.moving_surfaces.append(
            Surface(
                colour=colour,
                accent=light,
                pattern="stripe",
                scale_m=stripe_m,
                gloss=self.rng.uniform(0.15, 0.4),
            )
        )
        self.names.append(name)
        self.velocities.append(velocity)

    def add_part(self, attributes: str, colour: Colour) -> None:
        """Add one more geom to the body added last."""
        body = self.moving[-1].removesuffix("</body>")
        self.moving[-1] = f"{body}<geom {attributes} {rgba(colour)}/></body>"
        self.moving_surfaces.append(Surface(colour=colour, accent=colour, gloss=0.2))

    def add_constraint(self, equality: str) -> None:
        """Hold a body by an element of MuJoCo's ``equality`` section; its joint stays free."""
        self.constraints.append(equality)

    def finish(self, *, view: View, contact: str, outcome: Outcome = "all-fall") -> Scene:
        """Close the scene; ``contact`` are the attributes every geom starts from."""
        equality = f"<equality>{''.join(self.constraints)}</equality>" if self.constraints else ""
        xml = (
            f'<mujoco><option timestep="{TIMESTEP_SECONDS}" integrator="implicitfast" cone="elliptic"/>'
            f'<compiler angle="radian"/><default><geom {contact}/></default>'
            f"<visual><quality shadowsize='4096'/></visual>"
            f'<worldbody><light directional="true" dir="{numbers(-view.sun)}" diffuse=".7 .7 .7"/>'
            f"{''.join(self.static)}{''.join(self.moving)}</worldbody>{equality}</mujoco>"
        )
        return Scene(
            xml=xml,
            surfaces=(*self.static_surfaces, *self.moving_surfaces),
            view=view,
            body_names=tuple(self.names),
            initial_velocities=np.array(self.velocities),
            preroll_seconds=float(self.rng.uniform(0, 0.2)),
            outcome=outcome,
        )


def contact_defaults(
    rng: np.random.Generator, *, restitution: tuple[float, float], friction: float, rolling_m: float
) -> str:
    """Geom defaults for a bounce of the given restitution (a damped spring at 220 rad/s, MuJoCo's direct solref)."""
    log_e = np.log(rng.uniform(*restitution))
    damping_ratio = -log_e / np.sqrt(np.pi**2 + log_e**2)
    stiffness, damping = 220.0**2, 2 * damping_ratio * 220.0
    return (
        f'condim="{6 if rolling_m else 3}" friction="{friction} 0.01 {rolling_m}" solref="{-stiffness:.1f} {-damping:.3f}" '
        f'solimp="0.95 0.99 0.001"'
    )


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Unit quaternion, uniform over rotations."""
    q = rng.standard_normal(4)
    return q / np.sqrt((q * q).sum())

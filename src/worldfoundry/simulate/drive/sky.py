"""Time of day and weather."""

from dataclasses import dataclass

import numpy as np

from worldfoundry.simulate.recording import Light
from worldfoundry.simulate.scenes.looks import Colour, hsv, mixed

TIMES = ("morning", "midday", "afternoon", "dusk")
WEATHERS = ("clear", "hazy", "overcast")
_SUN_M = 1500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sky:
    """Light and what to call it."""

    light: Light
    time: str
    """One of ``TIMES``."""
    weather: str
    """One of ``WEATHERS``."""

    @property
    def words(self) -> str:
        """``a hazy morning``."""
        article = "an" if self.weather[0] in "aeiou" else "a"
        return f"{article} {self.weather} {'evening' if self.time == 'dusk' else 'day' if self.time == 'midday' else self.time}"


def draw_sky(rng: np.random.Generator) -> Sky:
    """Sun, sky and haze."""
    time = str(rng.choice(TIMES, p=(0.25, 0.3, 0.25, 0.2)))
    weather = str(rng.choice(WEATHERS, p=(0.55, 0.25, 0.2)))
    low, high = {"morning": (0.3, 0.6), "midday": (0.8, 1.2), "afternoon": (0.35, 0.7), "dusk": (0.1, 0.2)}[
        time
    ]
    height, azimuth = rng.uniform(low, high), rng.uniform(0, 2 * np.pi)
    sun = np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)])
    horizon, zenith = _colours(rng, time, weather)
    warmth = {"morning": 0.12, "midday": 0.0, "afternoon": 0.08, "dusk": 0.4}[time]
    strength = {"clear": 1.3, "hazy": 0.9, "overcast": 0.15}[weather] * (0.6 if time == "dusk" else 1.0)
    ambient = {"clear": 1.1, "hazy": 1.3, "overcast": 1.85}[weather] * (0.5 if time == "dusk" else 1.0)
    blueness = 0.1 if time == "dusk" else 0.04
    return Sky(
        light=Light(
            sun=sun,
            sky=(horizon, zenith),
            distance_m=_SUN_M,
            haze_m={"clear": 190.0, "hazy": 75.0, "overcast": 130.0}[weather] * rng.uniform(0.85, 1.2),
            sun_colour=(strength, strength * (1 - 0.45 * warmth), strength * (1 - warmth)),
            sky_colour=(ambient * (1 - blueness), ambient, ambient * (1 + blueness)),
        ),
        time=time,
        weather=weather,
    )


def _colours(rng: np.random.Generator, time: str, weather: str) -> tuple[Colour, Colour]:
    """At the horizon and above."""
    if time == "dusk":
        horizon = hsv(rng.uniform(0.03, 0.1), rng.uniform(0.25, 0.55), rng.uniform(0.75, 0.9))
        zenith = hsv(rng.uniform(0.6, 0.7), rng.uniform(0.35, 0.5), rng.uniform(0.35, 0.5))
    else:
        hue = rng.uniform(0.55, 0.61)
        horizon = hsv(hue, rng.uniform(0.05, 0.16), rng.uniform(0.88, 0.96))
        zenith = hsv(hue, rng.uniform(0.4, 0.62), rng.uniform(0.72, 0.88))
    if weather == "clear":
        return horizon, zenith
    grey = (0.5, 0.5, 0.54) if time == "dusk" else (0.8, 0.82, 0.84)
    share = 0.45 if weather == "hazy" else 0.85
    return mixed(horizon, grey, share), mixed(zenith, grey, share)

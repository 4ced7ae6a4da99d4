"""What happens in a physics scene, said from its states: only what the frames of the clip show."""

from collections.abc import Callable, Sequence

import numpy as np

from worldfoundry.simulate.scenes.looks import Colour
from worldfoundry.simulate.words import colour_name, counted_word, listed, sentence, with_article

_CLEARLY_M = 0.1
_NOUNS = {"sphere": "ball"}


def caption_of(scene: str, names: Sequence[str], colours: Sequence[Colour], centres: np.ndarray) -> str:
    """One sentence for bodies with these names and colours whose centres [t, n, 3] moved like this."""
    kinds = [name.split("-")[0] for name in names]
    bodies = [f"{colour_name(c)} {_NOUNS.get(kind, kind)}" for c, kind in zip(colours, kinds, strict=True)]
    return sentence(_SCENES[scene](bodies, kinds, centres))


def _drops(centres: np.ndarray) -> np.ndarray:
    """How much lower each body got, at most [n]."""
    return centres[0, :, 2] - centres[:, :, 2].min(axis=0)


def _all(bodies: Sequence[str]) -> str:
    return listed([with_article(b) for b in bodies])


def _verb(bodies: Sequence[str], one: str, more: str) -> str:
    return one if len(bodies) == 1 else more


def _free_fall(bodies: Sequence[str], kinds: Sequence[str], centres: np.ndarray) -> str:
    del kinds
    if _drops(centres).max() < _CLEARLY_M:
        return f"{_all(bodies)} {_verb(bodies, 'hangs', 'hang')} in the air"
    z = centres[..., 2]
    rise = (z - np.minimum.accumulate(z, axis=0)).max()
    fall = f"{_all(bodies)} {_verb(bodies, 'falls', 'fall')}"
    return f"{fall} to the floor and {_verb(bodies, 'bounces', 'bounce')}" if rise > 0.05 else fall


def _tilted_plane(bodies: Sequence[str], kinds: Sequence[str], centres: np.ndarray) -> str:
    if _drops(centres).max() < 0.02:
        return f"{_all(bodies)} {_verb(bodies, 'lies', 'lie')} on a ramp"
    ways = [
        f"{with_article(b)} {'slides' if kind == 'box' else 'rolls'}"
        for b, kind in zip(bodies, kinds, strict=True)
    ]
    return f"{listed(ways)} down a ramp"


def _u_slope(bodies: Sequence[str], kinds: Sequence[str], centres: np.ndarray) -> str:
    del kinds
    x = centres[..., 0]
    swings = (np.sign(x[0]) * x < -0.2).any(axis=0).all()
    if swings:
        return f"{_all(bodies)} {_verb(bodies, 'rolls', 'roll')} to and fro in a trough"
    return f"{_all(bodies)} {_verb(bodies, 'rolls', 'roll')} down the side of a trough"


def _stable_stack(bodies: Sequence[str], kinds: Sequence[str], centres: np.ndarray) -> str:
    del kinds, centres
    colours = listed([b.split()[0] for b in bodies])
    return (
        f"a stack of {counted_word(len(bodies), 'box', 'boxes')}, {colours} from the bottom up, stands still"
    )


def _unstable_stack(bodies: Sequence[str], kinds: Sequence[str], centres: np.ndarray) -> str:
    del kinds
    falls = int((_drops(centres) > _CLEARLY_M).sum())
    stack = f"a leaning stack of {counted_word(len(bodies), 'box', 'boxes')}"
    colours = listed([b.split()[0] for b in bodies])
    end = f"topples and {counted_word(falls, 'of them falls', 'of them fall')}" if falls else "begins to tip"
    return f"{stack}, {colours} from the bottom up, {end}"


def _dominoes(bodies: Sequence[str], kinds: Sequence[str], centres: np.ndarray) -> str:
    del kinds
    falls = int((_drops(centres) > _CLEARLY_M).sum())
    first, last = bodies[0].split()[0], bodies[-1].split()[0]
    colours = f"{first}" if first == last else f"{first} at one end and {last} at the other"
    row = f"{counted_word(len(bodies), 'domino', 'dominoes')}, {colours}, stand in a row"
    if falls == 0:
        return f"{row} and the first one is pushed"
    which = "all" if falls == len(bodies) else counted_word(falls, "of them falls", "of them fall")
    return (
        f"{row} and {which + ' fall' if which == 'all' else which}{' one after another' if falls > 1 else ''}"
    )


def _seesaw(bodies: Sequence[str], kinds: Sequence[str], centres: np.ndarray) -> str:
    plank, box, ball = (kinds.index(kind) for kind in ("plank", "box", "ball"))
    seesaw = f"a seesaw with {with_article(bodies[plank])}"
    if (centres[:, box, 2] - centres[0, box, 2]).max() > _CLEARLY_M:
        return f"{with_article(bodies[ball])} falls onto {seesaw} and throws {with_article(bodies[box])} up"
    if _drops(centres)[ball] > _CLEARLY_M:
        return (
            f"{with_article(bodies[ball])} falls towards {seesaw} on which {with_article(bodies[box])} lies"
        )
    return f"{with_article(bodies[ball])} hangs above {seesaw} on which {with_article(bodies[box])} lies"


def _gyroscope(bodies: Sequence[str], kinds: Sequence[str], centres: np.ndarray) -> str:
    del kinds
    angle = np.unwrap(np.arctan2(centres[:, 0, 1], centres[:, 0, 0]))
    turned = angle[-1] - angle[0]
    way = "anticlockwise" if turned > 0 else "clockwise"
    return (
        f"a spinning {bodies[0]} leans on a stand and goes round it {way}, seen from above, without falling"
    )


_SCENES: dict[str, Callable[[Sequence[str], Sequence[str], np.ndarray], str]] = {
    "free-fall": _free_fall,
    "tilted-plane": _tilted_plane,
    "u-slope": _u_slope,
    "stable-stack": _stable_stack,
    "unstable-stack": _unstable_stack,
    "dominoes": _dominoes,
    "seesaw": _seesaw,
    "gyroscope": _gyroscope,
}

"""Words for captions: colours, counts and lists in English."""

import colorsys
from collections.abc import Sequence

from worldfoundry.simulate.scenes.looks import Colour

_HUES = (
    (0.035, "red"),
    (0.105, "orange"),
    (0.185, "yellow"),
    (0.43, "green"),
    (0.535, "turquoise"),
    (0.7, "blue"),
    (0.79, "purple"),
    (0.945, "pink"),
    (1.0, "red"),
)
_COUNTS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)


def colour_name(colour: Colour) -> str:
    """What most people would call a displayed colour.

    >>> colour_name((0.9, 0.1, 0.1)), colour_name((0.5, 0.5, 0.52)), colour_name((0.45, 0.3, 0.15))
    ('red', 'grey', 'brown')
    """
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    if value < 0.2:
        return "black"
    if saturation < 0.15:
        return "white" if value > 0.85 else "grey"
    name = next(name for limit, name in _HUES if hue <= limit)
    return "brown" if name in ("orange", "yellow") and value < 0.6 else name


def counted_word(count: int, noun: str, plural: str | None = None) -> str:
    """``one box``, ``three boxes``; digits above twelve."""
    number = _COUNTS[count] if count < len(_COUNTS) else str(count)
    return f"{number} {noun if count == 1 else plural or noun + 's'}"


def with_article(words: str) -> str:
    """``a red box``, ``an orange ball``."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def listed(things: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return things[0] if len(things) == 1 else ", ".join(things[:-1]) + " and " + things[-1]


def sentence(words: str) -> str:
    """Begins with a capital letter and ends with a full stop."""
    return words[0].upper() + words[1:] + "."

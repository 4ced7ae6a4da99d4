"""Words and numbers for people, and everything that came from outside made harmless."""

import html
import json
import math
import re
import shlex
from collections.abc import Iterable
from typing import Any

Number = float | int
"""What a score, a threshold or a length of time is."""

_NONE = "\N{EN DASH}"
# Control characters, directional overrides and halves of surrogate pairs: legal in file names, wrong in a page.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def safe(value: Any) -> str:
    r"""Text for HTML, in an element or a quoted attribute; what nobody could see is spelled out.

    >>> safe('<b>&"\u202e')
    '&lt;b&gt;&amp;&quot;\\u202e'
    """
    return html.escape(_UNSEEN.sub(lambda m: f"\\u{ord(m[0]):04x}", str(value)), quote=True)


def embedded(value: Any) -> str:
    r"""A script element's JSON; no text in it can end the element.

    >>> embedded({"a": "</script>"})
    '{"a":"\\u003c/script>"}'
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def quoted(word: str) -> str:
    """A word of a shell command."""
    return shlex.quote(word)


def count(number: int, word: str, plural: str = "") -> str:
    """A number of things.

    >>> count(1, "clip"), count(1200, "clip"), count(2, "copy", "copies")
    ('1 clip', '1,200 clips', '2 copies')
    """
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def time(seconds: Number) -> str:
    """A length of time.

    >>> time(0), time(7.25), time(59.96), time(75.0), time(5400.0), time(4e6)
    ('0 s', '7.2 s', '1 min 00 s', '1 min 15 s', '1 h 30 min', '1,111 h')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds else "0 s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60:02d} min" if hours < 100 else f"{seconds / 3600:,.0f} h"


def moment(seconds: Number) -> str:
    """A place in a video.

    >>> moment(7.25), moment(75.04), moment(3725.0)
    ('0:07.25', '1:15.04', '1:02:05.00')
    """
    hundredths = round(seconds * 100)
    minutes, rest = divmod(hundredths, 6000)
    tail = f"{rest // 100:02d}.{rest % 100:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{tail}" if minutes >= 60 else f"{minutes}:{tail}"


def share(part: Number, whole: Number) -> str:
    """A part of a whole; what is not nothing never reads 0%, what is not all never reads 100%.

    >>> share(1, 3), share(1, 5000), share(4999, 5000), share(0, 3)
    ('33%', '<0.1%', '>99.9%', '0%')
    """
    if whole <= 0:
        return _NONE
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "<0.1%"
    if 99.9 < percent < 100:
        return ">99.9%"
    return f"{percent:.1f}%" if 0 < percent < 1 or 99 < percent < 100 else f"{percent:.0f}%"


def value(number: Number | None) -> str:
    """A score or a threshold.

    >>> value(0.01234), value(0), value(1234.5), value(0.00001)
    ('0.0123', '0', '1,234', '0.00001')
    """
    if number is None or not math.isfinite(number):
        return _NONE
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    digits = 2 - math.floor(math.log10(abs(number))) if number else 0
    text = f"{number:.{max(0, min(8, digits))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def words(reason: str) -> str:
    """An identifier as words.

    >>> words("too_short")
    'too short'
    """
    return reason.replace("_", " ").replace(".", " ")


def listed(parts: Iterable[str]) -> str:
    """Parts in one line, those that are empty left out.

    >>> listed(["a", "", "b"])
    'a · b'
    """
    return " · ".join(part for part in parts if part)

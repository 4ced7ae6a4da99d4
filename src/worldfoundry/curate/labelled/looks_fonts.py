"""Fonts and words for drawn text; Pillow is needed here and nowhere else in the project.

Fonts are split by family: Liberation is for testing, all others are for training. OpenCV's Hershey fonts are for validation.
"""

from functools import cache
from pathlib import Path

import numpy as np

from worldfoundry.core.errors import MissingDependencyError

_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")
_WORDS = """the and you that was for are with his they this have from one had word but not what all were when your can
said there use each which she how their will other about out many then them these some her would make like him into time has
look two more NEWS LIVE SPORT TODAY BREAKING Episode Chapter Kitchen River 2019 100% Market Street Tokyo Paris Madrid CLOSED
Exit Reserved""".split()


@cache
def find_fonts(split: str) -> tuple[str, ...]:
    """Paths of the fonts of ``train`` or ``test``."""
    found = sorted(
        str(p) for folder in _FOLDERS if Path(folder).is_dir() for p in Path(folder).rglob("*.ttf")
    )
    latin = [p for p in found if not any(word in p for word in ("Math", "Symbol", "Emoji"))]
    return tuple(p for p in latin if ("Liberation" in p) == (split == "test"))


def words(rng: np.random.Generator, count: int) -> str:
    """Some words."""
    return " ".join(_WORDS[int(i)] for i in rng.integers(0, len(_WORDS), max(1, count)))


def draw_line(
    text: str, split: str, font: int, size_px: int, colour: tuple[int, ...], outline: int
) -> np.ndarray:
    """One line of text as float32 [h, w, 4]: colours 0 to 255, coverage 0 to 1; ``font`` is a number chosen at random."""
    try:
        from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415  a tool of training, not of the package
    except ImportError as error:
        raise MissingDependencyError("drawing text needs Pillow; pip install pillow") from error
    paths = find_fonts(split)
    face = ImageFont.truetype(paths[font % len(paths)], size_px) if paths else ImageFont.load_default(size_px)
    box = face.getbbox(text, stroke_width=outline)
    size = (max(2, int(box[2] - box[0]) + 2), max(2, int(box[3] - box[1]) + 2))
    picture = Image.new("RGBA", size, (0, 0, 0, 0))
    edge = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
    fill = tuple(int(c) for c in colour)
    at = (1 - box[0], 1 - box[1])
    ImageDraw.Draw(picture).text(at, text, font=face, fill=fill, stroke_width=outline, stroke_fill=edge)
    pixels = np.asarray(picture, np.float32).copy()
    pixels[..., 3] /= 255
    return pixels

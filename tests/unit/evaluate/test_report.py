import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from worldfoundry.core.errors import DataError
from worldfoundry.data.video_io import read_video
from worldfoundry.evaluate import report
from worldfoundry.evaluate.config import MODEL, ROWS, Score
from worldfoundry.protocols.video import Frames

pytest.importorskip("cv2")
WEIRD = "<img src=x onerror=alert(1)> & \"quotes\" 'single' ${name} $$ </script>"


class _Checker(HTMLParser):
    """Collects tags and sees that each is closed."""

    VOID = frozenset({"meta", "img", "input", "br"})

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _film(t: int = 7, value: int = 90) -> Frames:
    return Frames.at_constant_rate(np.full((t, 16, 16, 3), value, np.uint8), 10.0)


def _reel(title: str = "a", context_frames: int = 5) -> str:
    panels = [
        report.Panel(key="truth", label=title, frames=_film(value=40)),
        report.Panel(key=MODEL, label="world model", frames=_film(value=200), note=title),
    ]
    return report.reel(
        report.Reel(title=title, caption=title, panels=panels, context_frames=context_frames), panel_px=32
    )


def _rows():
    score = Score(mean=20.0, ci95=(19.0, 21.5), n=4)
    curves = {
        f"{m}_{span}": {"1": score} for m in ("psnr", "ssim") for span in ("horizon", "second", "frame")
    }
    return dict.fromkeys(ROWS, curves)


def _page(text: str) -> str:
    blocks = [
        _reel(text),
        report.funnel([(text, 3), ("none left", 0)]),
        report.thumbnails(
            [
                report.Thumbnail(picture=_film().pixels[0], title=text),
                report.Thumbnail(picture=None, title=text, reason=text),
            ]
        ),
        report.score_chart(_rows(), fps=10.0, metric="psnr", title=text),
        report.horizon_table({text: _rows()}, labels={}),
        report.bars([(text, MODEL, 2.0, text)], title=text),
        report.note(text),
        report.paragraph(text),
        report.commands([text]),
        report.facts([(text, text)]),
    ]
    section = report.Section(name=text, kicker=text, title=text, lead=text, html=blocks)
    number = report.Headline(value=text, label=text)
    return report.page(title=text, story=text, headlines=[number], sections=[section], foot=text)


def test_weird_texts_never_become_markup():
    plain, weird = _Checker(), _Checker()
    plain.feed(_page("plain"))
    weird.feed(_page(WEIRD))
    assert weird.open == []
    assert [tag for tag, _ in weird.seen] == [tag for tag, _ in plain.seen]
    assert all(sorted(a) == sorted(b) for (_, a), (_, b) in zip(plain.seen, weird.seen, strict=True))
    assert "onerror=alert" not in _page(WEIRD).replace("&lt;img src=x onerror=alert", "")


def test_the_page_needs_nothing_from_outside():
    html = _page("plain")
    assert not re.search(r"https?://", html)
    checker = _Checker()
    checker.feed(html)
    addresses = [a[k] for _, a in checker.seen for k in ("src", "href", "poster", "action") if k in a]
    assert addresses
    assert all(a is not None and a.startswith(("data:", "#")) for a in addresses)
    assert all(u.startswith("data:") for u in re.findall(r"url\(([^)]*)\)", html))


def test_a_reel_holds_its_films_tiled_in_order(tmp_path):
    data = re.search(r"data:video/mp4;base64,([^\"]+)", _reel())
    assert data is not None
    path = tmp_path / "reel.mp4"
    path.write_bytes(base64.b64decode(data.group(1)))
    frames = read_video(path)
    assert frames.pixels.shape == (7, 32, 64, 3)
    assert frames.fps == pytest.approx(10)
    assert abs(frames.pixels[3, :, :32].mean() - 40) < 3
    assert abs(frames.pixels[3, :, 32:].mean() - 200) < 3


def test_a_reel_says_where_the_prediction_starts():
    assert 'data-context="5"' in _reel()
    assert 'data-opening="6"' in _reel()  # one second into the prediction, or the last frame


def test_films_of_unequal_length_are_refused():
    panels = [
        report.Panel(key=MODEL, label="a", frames=_film(5)),
        report.Panel(key=MODEL, label="b", frames=_film(6)),
    ]
    with pytest.raises(DataError, match="one shape and rate"):
        report.reel(report.Reel(title="", caption="", panels=panels))

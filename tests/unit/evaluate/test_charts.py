import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from worldfoundry.evaluate.charts import Series, bar_chart, line_chart, spread, ticks
from worldfoundry.evaluate.config import CEILING, MODEL


def _chart(label: str = "world") -> str:
    series = [
        Series(key=MODEL, label=label, line=[(0.1, 30.0), (3.0, 20.0)], points=[(0.5, 28.0, 27.0, 29.0)]),
        Series(key=CEILING, label="ceiling", line=[(0.1, 33.0), (3.0, 33.0)]),
    ]
    return line_chart(series, title="PSNR & more", x_label="seconds", y_label="dB")


def test_charts_are_well_formed_and_name_themselves():
    for svg in (
        _chart(),
        bar_chart([("a", MODEL, 3.0, "3 dB"), ("b", CEILING, 0.0, "0 dB")], title="PSNR & more"),
    ):
        assert ET.fromstring(svg).attrib["aria-label"] == "PSNR & more"


def test_labels_from_outside_are_escaped():
    assert "<script>" not in _chart("<script>alert(1)</script>")


def test_higher_scores_are_drawn_higher():
    lines = [e for e in ET.fromstring(_chart()).iter() if e.tag == "polyline"]
    ceiling, model = ([float(p.split(",")[1]) for p in e.attrib["points"].split()] for e in lines)
    assert ceiling[1] < model[0] < model[1]


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (17.2, 41.0), (-3.0, 60.0), (0.61, 0.64), (1e-4, 2e-4), (20.0, 20.0)]
)
def test_ticks_are_inside_rising_and_few(low: float, high: float):
    values = ticks(low, high)
    assert len(values) <= 6
    assert values == sorted(set(values))
    assert all(low - 1e-9 <= v <= high + 1e-9 for v in values)


@pytest.mark.parametrize("places", [[1.0, 1.0, 1.0, 1.0], [50.0, 0.0, 3.0, 52.0], [10.0], []])
def test_spread_labels_keep_their_order_and_distance(places: list[float]):
    out = spread(places, gap=10.0)
    order = sorted(range(len(places)), key=places.__getitem__)
    moved = [out[i] for i in order]
    assert all(b - a >= 10 - 1e-9 for a, b in pairwise(moved))

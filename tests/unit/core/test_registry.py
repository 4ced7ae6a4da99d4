import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from worldfoundry.core import registry
from worldfoundry.core.errors import ConfigError, UnknownNameError
from worldfoundry.core.registry import Registry

TABLE = {"json": "json:loads", "colour": "colorsys:rgb_to_hsv"}


@pytest.fixture
def offered(monkeypatch):
    """Entry points that other distributions offer."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in points if p.group == group])
    return points


def test_listing_imports_nothing_and_getting_imports_one_module():
    code = (
        "import sys; from worldfoundry.core.registry import Registry\n"
        "r = Registry('tool', {'wave': 'wave:open', 'chunk': 'colorsys:rgb_to_hsv'})\n"
        "assert r.names() == ['wave', 'chunk']; assert 'wave' not in sys.modules\n"
        "r.get('wave'); assert 'wave' in sys.modules and 'colorsys' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown tool 'jsn'; did you mean 'json'"):
        Registry("tool", TABLE).get("jsn")


def test_other_distributions_add_names(offered):
    offered.append(EntryPoint("ascii", "base64:a85encode", "worldfoundry.tool"))
    offered.append(EntryPoint("other", "base64:a85encode", "worldfoundry.metric"))
    tools = Registry("tool", TABLE)
    assert tools.names() == ["json", "colour", "ascii"]
    assert tools.get("ascii")(b"") == b""


def test_a_name_with_two_homes_is_an_error(offered):
    offered.append(EntryPoint("json", "simplejson:loads", "worldfoundry.tool"))
    with pytest.raises(
        ConfigError, match=r"tool 'json' must have one home, got 'json:loads' and 'simplejson:loads'"
    ):
        Registry("tool", TABLE).names()

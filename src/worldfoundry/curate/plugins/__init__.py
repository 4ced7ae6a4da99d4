"""Published models, by name, where their weights are given."""

from collections.abc import Callable

from worldfoundry.core.registry import Registry
from worldfoundry.protocols.curation import Enricher

ENRICHERS: Registry[Callable[[str], Enricher]] = Registry(
    "enricher",
    {
        "dover": "worldfoundry.curate.plugins.dover:load",
        "clip_aesthetics": "worldfoundry.curate.plugins.clip:load_aesthetics",
        "endpoint_type": "worldfoundry.curate.plugins.endpoint:load_types",
        "clip": "worldfoundry.curate.plugins.clip:load",
        "internvideo2": "worldfoundry.curate.plugins.embedders:load_internvideo2",
        "cosmos-embed1": "worldfoundry.curate.plugins.embedders:load_cosmos_embed1",
    },
)
"""Each makes a model from the path of its weights."""

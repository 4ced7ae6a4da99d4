"""Detectors: each measures one property of a source while its frames pass by.

A module has a class that is a ``Detector`` of protocols/curation.py and, for decide, ``score(timeline, start_s, end_s)``,
whose result is a dataclass with a column of the index in each field, or, where it finds shots,
``spans(timeline, end_s, threshold)``. Other distributions add detectors by the entry point ``worldfoundry.detector``.
"""

from worldfoundry.core.registry import Registry
from worldfoundry.protocols.curation import Detector

DETECTORS: Registry[type[Detector]] = Registry(
    "detector",
    {
        "shots": "worldfoundry.curate.detect.shots:ShotDetector",
        "camera": "worldfoundry.curate.detect.camera:CameraDetector",
        "quality": "worldfoundry.curate.detect.quality:QualityDetector",
        "overlay": "worldfoundry.curate.detect.overlay:OverlayDetector",
        "kind": "worldfoundry.curate.detect.kind:KindDetector",
        "descriptor": "worldfoundry.curate.detect.descriptor:DescriptorDetector",
        "thumbnails": "worldfoundry.curate.detect.thumbnails:Detector",
    },
)
"""What looks at every source, in the order in which it sees a frame."""

"""World models as a family of checkpoints: our own layout so far."""

from pathlib import Path

import torch

from worldfoundry.core.config import load_config
from worldfoundry.core.errors import CheckpointError
from worldfoundry.models.diffusion.world import DiffusionWorldNetwork
from worldfoundry.models.pretrained.config import ReleaseConfig
from worldfoundry.models.pretrained.opened import Opened
from worldfoundry.models.pretrained.release import check_fit, read_weights, write_native
from worldfoundry.models.pretrained.source import OpenOptions, Source


class WorldFamily:
    """Diffusion world models."""

    layouts = ("native",)

    def recognises(self, source: Source) -> bool:  # noqa: ARG002  as every family is asked
        """No published layout is read yet."""
        return False

    def open(self, source: Source, options: OpenOptions) -> Opened:  # noqa: ARG002  they are about published weights
        """Weights and configuration of a release folder of ours."""
        assert source.config is not None, "native weights lie beside their configuration"
        release = load_config(ReleaseConfig, source.config)
        if release.world is None:
            raise CheckpointError(f"{source.config} must hold 'world', got none; mend it")
        weights = read_weights(source.weights[0])
        with torch.device("meta"):
            check_fit(DiffusionWorldNetwork(release.world).state_dict(), weights, source.weights[0])
        return Opened(source=source, release=release, weights=weights)

    def write(self, opened: Opened, layout: str, folder: Path) -> None:
        """The native layout."""
        assert layout in self.layouts, "convert asks for layouts that there are"
        write_native(folder, opened.weights, opened.release)

"""Clips on disk in every form that is read, behind one contract: ``open_dataset(path)``."""

from worldfoundry.data.stored.opened import open_dataset

__all__ = ["open_dataset"]

"""worldfoundry: a world-foundation-model platform for Physical AI, from raw footage to rollouts."""

__version__ = "0.1.0"

"""Leaf blocks that several architectures share."""

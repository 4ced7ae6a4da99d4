"""What training never sees, so that evaluation can measure it."""

EVALUATION_SEED = 1_000_000
"""Scene seeds from here on are kept for evaluation; training uses smaller ones."""

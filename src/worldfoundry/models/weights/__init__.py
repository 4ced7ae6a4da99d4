"""The shipped weights, one folder a model; their cards are in docs/models/."""

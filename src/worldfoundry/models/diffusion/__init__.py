"""The diffusion world model: transformer, EDM process and samplers. Importing this package does not import torch."""

"""Autoregressive world models: the next token of a clip's discrete latents."""

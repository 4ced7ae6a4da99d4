"""The causal Haar-wavelet video tokenizer (arXiv 2501.03575, section 4). Importing this package does not import torch."""

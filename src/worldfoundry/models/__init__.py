"""Networks: tokenizers and world models. They know nothing of devices, ranks, files or loops."""

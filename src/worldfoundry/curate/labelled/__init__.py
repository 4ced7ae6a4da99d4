"""Labelled footage, made here, to train the detectors and to judge them."""

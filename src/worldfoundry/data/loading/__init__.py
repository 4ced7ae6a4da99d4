"""Batches for training from any number of sources: windows, buckets, mixtures, images among videos.

``plan`` says which windows make up batch number n, and nothing else decides it: the order is the same for any number of
workers and ranks, and going on at step n needs nothing but n. ``loader`` reads them, ahead and in other processes.
"""

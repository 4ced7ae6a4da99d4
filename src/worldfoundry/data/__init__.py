"""Pixels on disk: video files in and out, and the clip sets that training reads."""

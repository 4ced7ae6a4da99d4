"""From raw footage to uniform, scored clips: split, measure motion, transcode, report."""

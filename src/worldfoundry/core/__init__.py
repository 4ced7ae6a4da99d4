"""Standard library only: errors, strict JSON configurations, registries, run folders, atomic files."""

"""Released weights: the shipped ones by name, others by folder."""

"""The driving world: streets, traffic, an ego car and its cameras."""

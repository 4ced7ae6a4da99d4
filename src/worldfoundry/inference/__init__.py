"""Using models: load them by name, roll them forward."""

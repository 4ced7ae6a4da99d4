"""A robot arm at a table: ``ArmSimulator`` steps it, ``record_arm`` records scripted behaviours."""

"""Suites that score tokenizers and world models beside their ceiling and floors, and the report that shows it."""

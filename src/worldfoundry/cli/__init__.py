"""Text in, text out: one module a command; no tensor arithmetic here."""

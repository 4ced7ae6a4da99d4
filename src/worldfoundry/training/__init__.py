"""The one trainer, and what it minimises."""

"""Strategies: labels in, plans out."""

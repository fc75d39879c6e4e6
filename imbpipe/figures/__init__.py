"""Figures: counts, images and results in, one page-wide figure each out."""

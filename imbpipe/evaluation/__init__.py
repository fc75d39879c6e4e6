"""Metrics of every head and class, thresholds, means over groups of classes, intervals over runs."""

"""Faults done to the store on purpose. Tests run them in small, benchmarks/faults.py in full."""

"""Frozen networks: images in, features out. Importing this package loads no library of networks."""

"""Aerial pictures drawn by a program: noise fields, shapes, and one small function a thing to be seen."""

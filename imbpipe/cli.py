"""The command line: a few lines a command, over library calls."""

import click


@click.group()
def main() -> None:
    """Which way of handling class imbalance helps on your images?"""

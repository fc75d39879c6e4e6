"""A Ray cluster of two nodes on this machine, and an encoder that tells what it encodes."""

"""Images in, features out to the store: decoding, batching, the loop."""

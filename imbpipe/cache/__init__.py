"""The feature store: crash-safe, resumable, verified at reading. Only here is h5py imported."""

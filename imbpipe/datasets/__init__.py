"""Data sets: ids, images, labels, class names, task."""

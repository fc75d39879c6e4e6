"""Which way of handling class imbalance helps on your images, on which classes, and is it real?"""

__version__ = "0.1.0"

"""Claims as data, and what finished runs say of them."""

"""Pieces of bench_ssdlite.py: the two sides of each comparison, and how they are timed."""

"""Measurements. Ratios and growth are what to trust: machines differ, and ours are noisy."""

"""Gaussian processes over (configuration, level), and what is done with them.

Notation, used in all modules of this package:
    n  observations, m  candidates, p  pending evaluations, f  fantasies
    d  axes of the unit cube, g  groups of axes (one a parameter; a one-hot block is one group)
    K  levels of the ladder, k  the level of a row
    X  (n, d) places in the unit cube, y  (n,) standardized targets, smaller is better
    B, C (K, K), M, N (K,)  tables over levels that a resource model gives
    θ  (P,) parameters, on scales where their priors are normal
All arrays are float64 unless they hold levels or counts.
"""

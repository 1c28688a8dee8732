"""Discrete events on a virtual clock: learning curves instead of training, the engine for real."""

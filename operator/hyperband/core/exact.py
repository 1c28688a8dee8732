"""Exact arithmetic for numbers that people write in decimals."""

from fractions import Fraction


def exact(number: float) -> Fraction:
    """The decimal fraction that the number is written as: 0.1 is 1/10, not a double near it."""
    return Fraction(repr(float(number)))

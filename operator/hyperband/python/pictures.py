"""Figures of matplotlib, which a notebook shows as they are."""

from typing import TYPE_CHECKING, Any

from hyperband.plots.draw import MissingLibraryError, canvas, saved
from hyperband.plots.figure import Figure
from hyperband.python.problems import MissingPackageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    class Picture(Canvas):
        """matplotlib's figure: `savefig`, `axes` and all."""

        def _repr_png_(self) -> bytes: ...

else:
    Picture = Any


def picture(figure: Figure) -> Picture:
    """The figure, drawn.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    try:
        made: Any = canvas(figure)
    except MissingLibraryError as error:
        raise MissingPackageError(str(error)) from error
    made._repr_png_ = lambda: saved(made, "png")  # pyplot, which would show it, has no part in it
    shown: Picture = made
    return shown

"""SVG in a few strokes: pictures that are legible on light and on dark ground, and loads nothing.

Colours are classes; a picture's ground is its own, so that it fits a page of either kind.
"""

from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import escape

STYLE: Final = """
text { font: 14px system-ui, sans-serif; fill: #1f2430; }
text.small { font-size: 12px; fill: #5b6270; }
text.strong { font-weight: 600; }
.ground { fill: #f6f8fb; }
.box { fill: #ffffff; stroke: #9aa3b2; stroke-width: 1.2; }
.on { fill: #2f6fde; }
.off { fill: #c9d0dc; }
.good { fill: #1f9d63; }
.line { stroke: #5b6270; stroke-width: 1.4; fill: none; }
.axis { stroke: #c9d0dc; stroke-width: 1; stroke-dasharray: 4 4; fill: none; }
.tip { fill: #5b6270; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e9ef; }
  text.small { fill: #a7afbd; }
  .ground { fill: #191d26; }
  .box { fill: #232936; stroke: #6d7789; }
  .on { fill: #6ea0f7; }
  .off { fill: #4a5365; }
  .good { fill: #45c88b; }
  .line { stroke: #a7afbd; }
  .axis { stroke: #4a5365; }
  .tip { fill: #a7afbd; }
}
""".strip()


def picture(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    """A whole file; `title` is what is read to those who do not see it."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">'
    )
    marker = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>'
    )
    ground = f'<rect class="ground" width="{width}" height="{height}" rx="8"/>'
    lines = [head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", marker, ground]
    return "\n".join([*lines, *parts, "</svg>"]) + "\n"


def words(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    """A line of text; `y` is its base line."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def box(x: float, y: float, width: float, height: float, *lines: str) -> str:
    """A box with lines of text in its middle, the first one strong."""
    top = y + height / 2 + 5 - 9 * (len(lines) - 1)
    texts = [
        words(x + width / 2, top + 18 * i, line, "small" if i else "strong", "middle")
        for i, line in enumerate(lines)
    ]
    shape = f'<rect class="box" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"/>'
    return "\n".join([shape, *texts])


def bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="2"/>'
    )


def arrow(*points: tuple[float, float]) -> str:
    """A line through the points, with a tip at its end."""
    way = " L".join(f"{x:g} {y:g}" for x, y in points)
    return f'<path class="line" marker-end="url(#tip)" d="M{way}"/>'


def upright(x: float, top: float, bottom: float) -> str:
    """A dashed line to read off by."""
    return f'<path class="axis" d="M{x:g} {top:g}V{bottom:g}"/>'

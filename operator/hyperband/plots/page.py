"""A figure as one HTML file: nothing is loaded, and it can be read by screen readers."""

from dataclasses import replace
from html import escape
from typing import Final
from xml.etree import ElementTree

from hyperband.plots.draw import COLOURS, GRID, INK, PALE, PAPER, caption, draw
from hyperband.plots.figure import Figure

SVG: Final = "http://www.w3.org/2000/svg"
XLINK: Final = "http://www.w3.org/1999/xlink"
NAMES: Final = {
    INK: "ink",
    GRID: "grid",
    PALE: "pale",
    PAPER: "paper",
    **{colour: f"c{i}" for i, colour in enumerate(COLOURS)},
}
# The same hues, lighter, on a dark page.
DARK: Final = {
    **{"ink": "#e6e9ee", "grid": "#353b43", "pale": "#98a2ad", "paper": "#15181c"},
    **{"c0": "#56b4e9", "c1": "#ff8c42", "c2": "#35c79a", "c3": "#e5a3c8", "c4": "#e6c35c"},
    "c5": "#98a6ff",
}
PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; {light} }}
@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 75rem; margin: 1rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.2rem; }}
svg {{ width: 100%; height: auto; }}
svg [id^="items-"] > *:hover {{ stroke: var(--ink) !important; opacity: 1 !important; }}
.table {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; padding: .1rem .8rem .1rem 0; border-bottom: 1px solid var(--grid); }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<figure style="margin: 0">
{svg}
<figcaption>{notes}</figcaption>
</figure>
<details>
<summary>The data as a table</summary>
<div class="table"><table>
<caption>{title}</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table></div>
</details>
</main>
</body>
</html>
"""


def page(figure: Figure) -> str:
    """The file.

    Raises:
        MissingLibraryError: matplotlib is not installed.
    """
    body = "\n".join(
        f"<tr>{''.join(f'<td>{escape(caption(cell))}</td>' for cell in row)}</tr>"
        for row in figure.rows
    )
    return PAGE.format(
        title=escape(figure.title),
        light=_variables({name: colour for colour, name in NAMES.items()}),
        dark=_variables(DARK),
        svg=inline(figure),
        notes="<br>".join(map(escape, figure.notes)),
        head="".join(f'<th scope="col">{escape(column)}</th>' for column in figure.columns),
        body=body,
    )


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def inline(figure: Figure) -> str:
    """The SVG as a part of a page: with tooltips, and colours that follow the page's."""
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    # The page has the title and the notes as text.
    drawn = draw(replace(figure, title="", notes=()), "svg", transparent=True)
    root = ElementTree.fromstring(drawn)
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    root.set("role", "img")
    root.set("aria-label", figure.title)
    groups = {group.get("id"): group for group in root.iter(f"{{{SVG}}}g")}
    series = [each for panel in figure.panels for each in panel.series if each.items]
    for i, each in enumerate(series):
        _tooltips(groups.get(f"items-{i}"), [item.name for item in each.items])
    _recolour(root)
    return ElementTree.tostring(root, encoding="unicode")


def _tooltips(group: ElementTree.Element | None, names: list[str]) -> None:
    """A title for each mark: matplotlib writes them in the order in which it is given them."""
    if group is None:
        return
    defined = {id(each) for defs in group.iter(f"{{{SVG}}}defs") for each in defs.iter()}
    tags = (f"{{{SVG}}}path", f"{{{SVG}}}use")
    marks = [each for each in group.iter() if each.tag in tags and id(each) not in defined]
    if len(marks) == len(names):
        for mark, name in zip(marks, names, strict=True):
            ElementTree.SubElement(mark, f"{{{SVG}}}title").text = name


def _recolour(root: ElementTree.Element) -> None:
    for element in root.iter():
        for key in ("style", "fill", "stroke"):
            if text := element.get(key):
                for colour, name in NAMES.items():
                    text = text.replace(colour, f"var(--{name})")
                # A presentation attribute takes no variable: a style does.
                if key == "style":
                    element.set(key, text)
                elif text != element.get(key):
                    del element.attrib[key]
                    element.set("style", f"{key}: {text}; {element.get('style', '')}")

"""What each second of a run had: reads it from CSV files, finds the slowest stretch, and draws it
as an SVG; only the standard library."""
import csv
import math
import statistics
from xml.sax.saxutils import escape

WINDOW_S = 10


def read_seconds(path, *names):
    """One list of numbers for each name; the last second, which the end cut off, is left out."""
    with open(path, newline="") as lines:
        rows = list(csv.DictReader(lines))[:-1]
    return [[float(row[name]) for row in rows] for name in names]


def window_means(rates):
    """Of each stretch of WINDOW_S seconds, wherever it begins."""
    return [statistics.fmean(rates[begin:begin + WINDOW_S])
            for begin in range(len(rates) - WINDOW_S + 1)]


def steadiness(rates):
    """The slowest stretch of WINDOW_S seconds, as a share of the median one, in words."""
    means = window_means(rates)
    return f"{min(means) / statistics.median(means):.2f}" if means else "too short a run"


def minute_means(rates):
    """Of the first and of the last minute, or of the halves of a shorter run."""
    length = min(60, len(rates) // 2)
    return statistics.fmean(rates[:length]), statistics.fmean(rates[-length:])


# --- SVG -----------------------------------------------------------------------------------------

WIDTH, PANEL_HEIGHT = 900, 250
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 34, 36  # of a panel, around its plot
TITLE_HEIGHT = 36
COLORS = ["#2166ac", "#b2182b"]
STYLE = """text { font: 13px sans-serif; fill: #333 }
.title { font-size: 16px; font-weight: bold } .panel { font-weight: bold }
.grid { stroke: #ddd; stroke-width: 1 } .line { fill: none }
.target { stroke: #777; stroke-width: 1; stroke-dasharray: 6 4 }"""


class Panel:
    """`series`: (name, a value for each second); `target`: a dashed line at (value, name). `means`:
    the means of WINDOW_S seconds are drawn over the values of single seconds; `top`: the axis goes
    at least so far."""

    def __init__(self, title, series, target=None, means=False, top=0):
        self.title, self.series, self.target, self.means = title, series, target, means
        top = max([top] + [max(values, default=0) for _, values in series])
        self.ticks = tick_values(max(top, target[0] if target else 0))
        self.seconds = max(len(values) for _, values in series)

    def x(self, second, total):
        return LEFT + (WIDTH - LEFT - RIGHT) * second / max(total, 1)

    def y(self, value):
        return TOP + (PANEL_HEIGHT - TOP - BOTTOM) * (1 - value / self.ticks[-1])

    def line(self, values, first_second, total, color, width, opacity):
        points = " ".join(f"{self.x(first_second + i, total):.1f},{self.y(value):.1f}"
                          for i, value in enumerate(values))
        return (f'<polyline class="line" points="{points}" stroke="{color}" '
                f'stroke-width="{width}" opacity="{opacity}"/>')

    def draw(self, total):
        yield text(LEFT, TOP - 12, self.title, 'class="panel"')
        for value in self.ticks:
            yield horizontal(self.y(value), "grid")
            yield text(LEFT - 8, self.y(value) + 4, f"{value:,g}", 'text-anchor="end"')
        for value in tick_values(total)[:-1]:
            yield text(self.x(value, total), PANEL_HEIGHT - BOTTOM + 18, f"{value:,g} s",
                       'text-anchor="middle"')
        for index, (name, values) in enumerate(self.series):
            color = COLORS[index % len(COLORS)]
            yield self.line(values, 0.5, total, color, 1, 0.4 if self.means else 1)
            if self.means:
                yield self.line(window_means(values), WINDOW_S / 2, total, color, 2, 1)
            if len(self.series) > 1:
                yield text(WIDTH - RIGHT - 160 * (len(self.series) - index - 1), TOP - 12, name,
                           f'text-anchor="end" style="fill: {color}"')
        if self.target:
            value, name = self.target
            yield horizontal(self.y(value), "target")
            yield text(WIDTH - RIGHT, self.y(value) - 5, name, 'text-anchor="end"')


def tick_values(top):
    """0 and some round numbers up to the first that is not below `top`."""
    top = max(top, 1e-9)
    power = 10 ** math.floor(math.log10(top))
    step = next(step * power for step in (0.2, 0.25, 0.5, 1, 2) if top / (step * power) <= 6)
    return [step * i for i in range(math.ceil(top / step - 1e-9) + 1)]


def text(x, y, words, attributes=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(words)}</text>'


def horizontal(y, kind):
    return f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'


def write_svg(path, title, panels):
    """The panels one above the other, with one time axis."""
    total = max(panel.seconds for panel in panels)
    height = TITLE_HEIGHT + PANEL_HEIGHT * len(panels)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}">', f"<style>{STYLE}</style>",
             '<rect width="100%" height="100%" fill="#fff"/>',
             text(LEFT, 26, title, 'class="title"')]
    for index, panel in enumerate(panels):
        lines.append(f'<g transform="translate(0 {TITLE_HEIGHT + PANEL_HEIGHT * index})">')
        lines += panel.draw(total)
        lines.append("</g>")
    path.write_text("\n".join(lines + ["</svg>"]) + "\n")

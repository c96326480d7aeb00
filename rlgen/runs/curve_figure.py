"""Learning curves as a figure of a page: for bright and dark, for wide and narrow screens, and in words."""

from collections.abc import Mapping, Sequence

from rlgen.runs import report_page as html
from rlgen.runs.curve_data import PANELS, RETURN, Panel, curve_of, panels_for, read_tables
from rlgen.runs.curve_panel import DARK, LIGHT
from rlgen.runs.curves import NARROW, WIDE, Folder, curves_png
from rlgen.system.console import number


def curves_figure(
    runs: Mapping[str, Sequence[Folder]], references: Mapping[str, float], panels: Sequence[Panel] = PANELS
) -> str:
    """HTML of the curves of groups of runs: label → run folders that differ in the seed only."""
    light, dark, narrow_light, narrow_dark = (
        curves_png(runs, references, theme, panels, layout) for layout in (WIDE, NARROW) for theme in (LIGHT, DARK)
    )
    return html.figure(light, dark, curves_in_words(runs, references, panels), (narrow_light, narrow_dark))


def curves_in_words(
    runs: Mapping[str, Sequence[Folder]], references: Mapping[str, float], panels: Sequence[Panel] = PANELS
) -> str:
    """What each diagram shows: its title, and for each line where it begins and ends."""
    groups = {label: tables for label, folders in runs.items() if (tables := read_tables(folders))}
    names = list(dict.fromkeys(name for tables in groups.values() for table in tables for name in table))
    sentences = []
    for panel in (RETURN, *panels_for(names, panels)):
        lines = []
        for label, tables in groups.items():
            for series in panel.series:
                curve = curve_of(tables, series)
                if curve is not None:
                    name = " ".join(part for part in (label, series.label) if part)
                    lines.append(f"{name} from {number(float(curve.middle[0]))} to {number(float(curve.middle[-1]))}")
        if panel is RETURN and lines:
            lines += [f"{name} {number(value)}" for name, value in references.items()]
        if lines:
            sentences.append(f"{panel.title}: {', '.join(lines)}.")
    return " ".join(["Learning curves.", *sentences])

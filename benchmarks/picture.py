"""Bars of rows a second, one panel for each database: reads findings as JSON, writes SVG.

Runs in the environment of the peers: `python -m benchmarks.picture OUTPUT.svg < findings.json`.
"""

import json
import sys
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

_OURS, _OTHERS = "#1f6f54", "#b8c0c8"
_ROW_INCHES, _PANEL_INCHES = 0.27, 0.75


def main(output: str) -> None:
    findings = json.load(sys.stdin)
    panels = [c for c in findings["comparisons"] if c["data"] == findings["picture_of"]]
    heights = [len(_measured(panel)) * _ROW_INCHES + _PANEL_INCHES for panel in panels]
    # Text stays text: the file is small, and the same for the same figures.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "dropload", "font.size": 9})
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(8, sum(heights)),
        squeeze=False,
        height_ratios=heights,
        layout="constrained",
    )
    for axis, panel in zip(axes[:, 0], panels, strict=True):
        _draw(axis, panel)
    # Text stays text, and other fonts are wider: room around it.
    figure.savefig(output, metadata={"Date": None}, bbox_inches="tight", pad_inches=0.3)


def _measured(panel: dict[str, Any]) -> list[dict[str, Any]]:
    results = [result for result in panel["results"] if result.get("same_rows")]
    return sorted(results, key=lambda result: -result["per_second"])


def _draw(axis: Any, panel: dict[str, Any]) -> None:
    results = _measured(panel)
    names = [result["peer"] for result in results]
    rates = [result["per_second"] / 1000 for result in results]
    colours = [_OURS if result["is_ours"] else _OTHERS for result in results]
    bars = axis.barh(names, rates, color=colours, height=0.72)
    labels = [_label(result, rate) for result, rate in zip(results, rates, strict=True)]
    axis.bar_label(bars, labels, padding=4, fontsize=8)
    axis.invert_yaxis()
    # Room for the labels behind the longest bar.
    axis.set_xlim(0, max(rates, default=1) * 1.6)
    axis.set_title(
        f"{panel['title']}: thousand rows a second, {panel['data']} file",
        loc="left",
        fontweight="bold",
    )
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.tick_params(left=False, bottom=False, labelbottom=False)


def _label(result: dict[str, Any], rate: float) -> str:
    lacks = ", ".join(result["lacks"])
    return f"{rate:,.0f}" + (f"  (without {lacks})" if lacks else "")


if __name__ == "__main__":
    main(sys.argv[1])

"""The page of a cohort: volumes at a glance and the pictures of all cases, one static file that opens offline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np

from ..whole_file import whole_file
from .table import Row, by_doubt

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; color: #222;
  background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: 1rem; }
.case { border: 1px solid #ccc; border-radius: 4px; padding: .6rem; overflow-wrap: anywhere; }
.case.doubtful { border-color: #c60; } .case.failed { border-color: #b00; background: #fff4f2; }
.case img { width: 100%; background: #000; } .case p { margin: .3rem 0; }
.reason { color: #a04000; } .numbers { color: #555; }
.key { display: inline-block; width: .9em; height: .9em; border: 1px solid #555; vertical-align: -.1em; }
svg text { font: 12px system-ui, sans-serif; fill: #555; }
"""


def write_page(rows: Sequence[Row], path: Path, title: str) -> None:
    """Write the page; pictures and links are relative to it.

    Raises
    ------
    CannotWrite : the file cannot be written.
    """
    done = [row for row in rows if row["state"] == "done"]
    failed = [row for row in rows if row["state"] == "failed"]
    doubtful = [row for row in done if row["distrust"]]
    told = f"{len(done)} of {len(rows)} cases have a result, {len(doubtful)} of them a reason to distrust it; "
    told += f"{len(failed)} have none."
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<p>{told} Research software: not for diagnosis. Look at every result.</p>
<h2>Volumes</h2>
{_histogram([float(row["volume"]) for row in done])}
<h2>Look at these first</h2>
<p>Ordered by doubt: no result, then the number of reasons, then the Dice that the network expects of itself. Contours:
{_legend()}, divided along the gland's centre line at its narrowest place (the neck) and halfway from there to the tip
of the tail (Japan Pancreas Society, General Rules for the Study of Pancreatic Cancer, 6th edition 2009); one colour
where there is no centre line.</p>
<div class="sheet">
{"".join(_card(row) for row in by_doubt(rows))}</div>
</body></html>
"""
    with whole_file(path) as beside:
        beside.write_text(page, encoding="utf-8", errors="replace")


def _legend() -> str:
    from .part_segments import COLOURS  # here: with it come libraries that the command can do without till now

    return ", ".join(
        f'<span class="key" style="background: rgb{colour}"></span> {part}' for part, colour in COLOURS.items()
    )


def _histogram(volumes: Sequence[float]) -> str:
    """An SVG of the distribution of volumes in mL."""
    if not volumes:
        return "<p>No case has a result.</p>"
    width, height, foot = 640, 160, 36
    step = next(step for step in (5, 10, 20, 50, 100, 200, 500, 1000, 10**6) if max(volumes) / step <= 30)
    counts = np.bincount((np.asarray(volumes) // step).astype(int))
    bar = width / len(counts)
    bars = "".join(
        f'<rect x="{n * bar + 1:.1f}" y="{height * (1 - count / counts.max()):.1f}" width="{max(bar - 2, 1):.1f}" '
        f'height="{height * count / counts.max():.1f}" fill="#4a7ab0"><title>{n * step} to {(n + 1) * step} mL: '
        f"{count}</title></rect>"
        for n, count in enumerate(counts)
    )
    every = max(1, len(counts) // 10)
    marks = "".join(
        f'<text x="{n * bar:.1f}" y="{height + 16}">{n * step}</text>' for n in range(0, len(counts) + 1, every)
    )
    middle = f"{np.median(volumes):.0f} mL (median), {min(volumes):.0f} to {max(volumes):.0f} mL"
    return (
        f'<svg role="img" aria-label="Distribution of volumes" viewBox="0 -4 {width + 40} {height + foot + 4}" '
        f'width="{width + 40}">{bars}{marks}<text x="0" y="{height + 32}">Volume in mL: {middle}, '
        f"highest bar {counts.max()}</text></svg>"
    )


def _card(row: Row) -> str:
    state = "failed" if row["state"] == "failed" else "doubtful" if row.get("distrust") else row["state"]
    lines = [f"<p><strong>{escape(str(row['id']))}</strong></p>"]
    known = [str(row[key]) for key in ("series_number", "series_description", "series_differs_by") if row.get(key)]
    if known:
        lines.append(f'<p class="numbers">Series {escape(", ".join(known))}</p>')
    if row["state"] == "done":
        folder = quote(str(row["folder"]))
        if row.get("overview"):
            picture = f"{folder}/{quote(str(row['overview']))}"
            lines.insert(0, f'<a href="{picture}"><img loading="lazy" src="{picture}" alt="three planes"></a>')
        if row["reasons"]:
            lines.append(f'<p class="reason">{escape(str(row["reasons"]))}</p>')
        numbers = [f"{row['volume']:.0f} mL ({row['volume_low']:.0f} to {row['volume_high']:.0f})"]
        if row["length"] is not None:
            numbers.append(f"length {row['length']:.0f} mm, thickness {row['thickness']:.0f} mm")
        if row["expected_dice"] is not None:
            numbers.append(f"expected Dice {row['expected_dice']:.2f}")
        lines.append(f'<p class="numbers">{escape(", ".join(numbers))}</p>')
        if row["contrast_phase_guess"]:
            guess = f"Contrast phase, a guess: {row['contrast_phase_guess']} ({row['contrast_phase_grounds']})"
            lines.append(f'<p class="numbers">{escape(guess)}</p>')
        lines.append(
            f'<p><a href="{folder}/result_pancreas.seg.nrrd">segment</a>, '
            f'<a href="{folder}/result_probability.nrrd">probability</a>, '
            f'<a href="{folder}/result_report.json">report</a></p>'
        )
    elif row["state"] == "failed":
        lines.append(f'<p class="reason">{escape(str(row["error"]))}</p>')
    else:
        lines.append("<p>Not run yet.</p>")
    return f'<div class="case {state.replace(" ", "-")}">{"".join(lines)}</div>\n'

"""Two windows of different sizes on one server: a click lands where the person who made it saw it."""

from __future__ import annotations

import numpy as np
import pytest

from .conftest import Page
from .test_page import _is_orange


@pytest.fixture
def other_page(browser, server):
    other = Page(browser, server)
    other.tab.set_viewport_size({"width": 1600, "height": 700})
    yield other
    other.context.close()


def test_clicks_land_where_they_are_made_while_another_window_is_open_and_after(page, other_page):
    page.button("Segment Pancreas").click()
    page.wait("state('has_result') && state('run') === ''")
    for window in (page, other_page, page):
        window.tool("Remove")
        # The picture still has the other window's shape: nothing has told the server that the mouse is here now.
        before = _outline_box(window)
        spot = {"x": before[1] + 20.0, "y": before[2] - 12.0}
        window.view("Red").click(position=spot)
        window.button("Let it act").click()  # there is nothing to remove, so the page asks
        window.wait("state('removals') === 1")
        window.wait_for_picture("Red", lambda now: np.count_nonzero(_is_red(now)) > 10)
        window.resting_picture("Red")
        # So far from the segment it changes nothing, and by now the view has taken this window's size.
        after = _outline_box(window)
        scale = (after[1] - after[0]) / (before[1] - before[0])
        rows, columns = np.nonzero(_is_red(window.picture("Red")))
        assert abs((np.median(columns) - after[1]) - 20.0 * scale) < 3
        assert abs((np.median(rows) - after[2]) + 12.0 * scale) < 3
        window.button("Undo").click()
        window.wait("state('removals') === 0")


def _outline_box(page: Page) -> tuple[float, float, float]:
    """Leftmost and rightmost column, and the highest row, of the segment in the axial view."""
    rows, columns = np.nonzero(_is_orange(page.resting_picture("Red")))
    return float(columns.min()), float(columns.max()), float(rows.min())


def _is_red(picture: np.ndarray) -> np.ndarray:
    """Which pixels have the colour of the marker of a click that removes."""
    red, green, blue = np.moveaxis(picture, 2, 0)
    return (red > 190) & (green < 110) & (blue < 110)

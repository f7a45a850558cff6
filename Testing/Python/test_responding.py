"""Slicer answers while the module works: the largest gap in its event loop, measured by a timer and printed."""

from __future__ import annotations

import os
import time

import numpy as np
import slicer
from panel_case import PanelTestCase, process_for, process_until

# Without Slicer the CT is only large where this is set: ATTENTIONUNETSEG_LARGE_CT=1 pytest -s test_responding.py
LARGE_VARIABLE = "ATTENTIONUNETSEG_LARGE_CT"


class Gaps:
    """The longest time between two ticks of a timer that should tick every 10 ms, by what was done meanwhile.

    `longest` is what a person waits. `busiest` is the processor's time that Slicer's own thread took of one gap: the
    same on a computer where other programs are at work too.
    """

    def __init__(self) -> None:
        import qt

        self.longest: dict[str, float] = {}
        self.busiest: dict[str, float] = {}
        self._what = "nothing"
        self._last, self._used = time.monotonic(), time.thread_time()
        self._timer = qt.QTimer()
        self._timer.setInterval(10)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def during(self, what: str) -> None:
        """Count for this from now on."""
        self._tick()
        self._what = what

    def stop(self) -> None:
        """Measure no more."""
        self._tick()
        self._timer.stop()

    def _tick(self) -> None:
        now, used = time.monotonic(), time.thread_time()
        self.longest[self._what] = max(self.longest.get(self._what, 0.0), now - self._last)
        self.busiest[self._what] = max(self.busiest.get(self._what, 0.0), used - self._used)
        self._last, self._used = now, used


class RespondingTest(PanelTestCase):
    """On a CT of 512 x 512 x 400 voxels in Slicer; on a small one where the same test runs without Slicer."""

    def large_ct(self) -> object:
        """A phantom of many voxels: each of a coarse one repeated, and cut."""
        import SimpleITK as sitk
        from AttentionUNetSegLib.imaging import Volume
        from AttentionUNetSegLib.scene import add_volume
        from AttentionUNetSegLib.scene.volumes import image_of_node

        coarse = self.add_phantom()
        if "desktop double" in slicer.app.applicationVersion and LARGE_VARIABLE not in os.environ:
            return coarse
        voxels = slicer.util.arrayFromVolume(coarse)
        times = [max(1, round(n / have)) for n, have in zip((400, 512, 512), voxels.shape, strict=True)]
        for axis, repeats in enumerate(times):
            voxels = np.repeat(voxels, repeats, axis)
        image = sitk.GetImageFromArray(voxels)
        small = image_of_node(coarse)
        image.SetSpacing([size / n for size, n in zip(small.GetSpacing(), times[::-1], strict=True)])
        image.SetOrigin(small.GetOrigin())
        image.SetDirection(small.GetDirection())
        slicer.mrmlScene.RemoveNode(coarse)
        return add_volume(slicer.mrmlScene, Volume(image, "large phantom", is_phantom=True))

    def test_the_largest_gaps_are_printed(self) -> None:
        import vtk

        volume = self.large_ct()
        self.select(volume)
        process_for(0.5)
        gaps = Gaps()
        gaps.during("export")
        self.click(self.ui.segmentButton)
        process_until(lambda: all(run.state.value != "preparing" for run in self.logic.unfinishedRuns()), "the export")
        gaps.during("run")
        self.wait_for_runs()
        gaps.during("nothing")
        (segmentation,) = self.logic.results()
        places = self.places_inside(segmentation)

        def wait_for_surface() -> None:
            gaps.during("surface")
            process_until(lambda: self.logic.hasSurface(segmentation), "the surface", 30.0)

        wait_for_surface()
        gaps.during("threshold")
        for value in (0.6, 0.7, 0.8, 0.6):
            self.ui.thresholdSlider.value = value
            process_for(0.03)
        wait_for_surface()
        gaps.during("click")
        self.click(self.ui.removeClickButton)
        for place in places:
            before = self.shown_volume()
            gaps.during("click")
            self.panel.editor.nodes.remove_clicks.AddControlPointWorld(vtk.vtkVector3d(*place))
            process_until(lambda before=before: self.shown_volume() != before, "the click", 30.0)
            wait_for_surface()
        gaps.during("undo")
        self.click(self.ui.undoButton)
        wait_for_surface()
        gaps.during("measurement")
        self.click(self.ui.measureButton)
        process_until(lambda: self.ui.measureButton.text == "Measure", "the measurement")
        gaps.stop()
        size = " x ".join(str(n) for n in volume.GetImageData().GetDimensions())
        told = ", ".join(
            f"{what} {seconds:.3f} s ({gaps.busiest[what]:.3f})"
            for what, seconds in gaps.longest.items() if what != "nothing"
        )  # fmt: skip
        print(f"largest gaps in the event loop (and of the processor), CT of {size} voxels: {told}")
        # Of the processor's time: a machine may have other work, and what is told is read.
        for what in set(gaps.busiest) - {"nothing"}:
            self.assertLess(gaps.busiest[what], 0.1, f"{what}: {told}")
        self.assertLess(max(gaps.longest.values()), 10.0, told)

    def places_inside(self, segmentation: object) -> list[np.ndarray]:
        """World RAS of two voxels of the segment, a third of its length apart."""
        import vtk

        to_ras = vtk.vtkMatrix4x4()
        self.panel.editor.nodes.volume.GetIJKToRASMatrix(to_ras)
        matrix = slicer.util.arrayFromVTKMatrix(to_ras)
        inside = np.argwhere(self.segment_mask(segmentation))
        return [(matrix @ [*(float(n) for n in inside[len(inside) // n][::-1]), 1.0])[:3] for n in (3, 2)]

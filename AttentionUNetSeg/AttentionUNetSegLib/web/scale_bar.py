"""The colour bar in a slice view: what the colours of an overlay stand for (VTK's own scalar bar)."""

from __future__ import annotations

import slicer
from trame_slicer.views import SliceView
from vtkmodules.vtkCommonCore import vtkLookupTable
from vtkmodules.vtkRenderingAnnotation import vtkScalarBarActor


class ScaleBar:
    """One bar, at the right edge of one slice view."""

    def __init__(self, view: SliceView) -> None:
        self._view = view
        self._actor = vtkScalarBarActor()
        self._actor.SetNumberOfLabels(3)
        self._actor.SetLabelFormat("%.2g")
        self._actor.SetMaximumWidthInPixels(46)
        self._actor.SetWidth(0.12)
        self._actor.SetHeight(0.42)
        self._actor.SetPosition(0.86, 0.29)
        self._actor.UnconstrainedFontSizeOn()
        self._actor.SetVisibility(False)
        for text in (self._actor.GetLabelTextProperty(), self._actor.GetTitleTextProperty()):
            text.SetFontSize(12)
            text.SetColor(0.91, 0.93, 0.94)
            text.SetShadow(1)
            text.SetItalic(0)
            text.SetBold(0)
        view.renderers()[-1].AddViewProp(self._actor)

    def show(self, colors: slicer.vtkMRMLColorNode | None, top: float) -> None:
        """Show the colours of values from 0 to `top`; None hides the bar."""
        self._actor.SetVisibility(colors is not None)
        if colors is not None:
            table = vtkLookupTable()
            count = 256
            table.SetNumberOfTableValues(count)
            for index in range(count):
                color = [0.0] * 4
                colors.GetColor(index * (colors.GetNumberOfColors() - 1) // (count - 1), color)
                table.SetTableValue(index, (*color[:3], 1.0))
            table.SetRange(0.0, top)
            self._actor.SetLookupTable(table)
        self._view.schedule_render()

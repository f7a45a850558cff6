"""A scene of its own to draw pictures in, so that the caller's scene, views and display settings are not touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import slicer
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkOutputWindow
from vtkmodules.vtkCommonTransforms import vtkGeneralTransform
from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

from ..results import ResultNodes
from ..segment import segment_id_of
from ..standalone import new_application
from ..volumes import ABDOMEN_WINDOW_LEVEL_HU
from .within_body import voxels_within_body

OUTLINE_PIXELS = 2


class PictureScene:
    """Copies of a result's nodes (the voxels are shared) and one off-screen slice view on them.

    Use `open_picture_scene`. All positions are world RAS millimetres.
    """

    def __init__(
        self, nodes: ResultNodes, overlay: slicer.vtkMRMLScalarVolumeNode, size: tuple[int, int], within_body: bool
    ) -> None:
        from trame_slicer.views import SliceView

        self._app = new_application()
        self._transform = _copy_parent_transform(nodes.volume, self._app.scene)
        self._ct = self._copy_volume(nodes.volume)
        self._ct.GetDisplayNode().SetWindowLevel(*ABDOMEN_WINDOW_LEVEL_HU)
        self._overlay = self._copy_volume(overlay)
        within = voxels_within_body(overlay, nodes.volume) if within_body else None
        if within is not None:
            self._overlay.SetAndObserveImageData(within)
        _copy_colors(overlay, self._overlay)
        self._copy_segment(nodes)
        self._view = SliceView(self._app.scene, self._app.app_logic, "Overview")
        self._view.set_render_blocked(True)  # otherwise every change below would draw once
        self._view.render_window().SetOffScreenRendering(True)
        self._view.render_window().SetMultiSamples(0)
        self._view.render_window().SetSize(*size)
        self._view.set_background_volume_id(self._ct.GetID())
        self._view.set_foreground_volume_id(self._overlay.GetID())
        self._view.fit_view_to_content()  # tells the slice node the size of the window
        self._size = size

    def draw(self, plane: str, position: np.ndarray, mm_per_pixel: float, overlay_opacity: float) -> np.ndarray:
        """Return one slice as RGB uint8 (rows from the top, columns, 3); `position` is the picture's middle."""
        node = self._view.get_view_node()
        node.SetOrientation(plane)
        node.SetFieldOfView(self._size[0] * mm_per_pixel, self._size[1] * mm_per_pixel, node.GetFieldOfView()[2])
        node.SetXYZOrigin(0, 0, 0)
        node.JumpSliceByCentering(*position)
        self._view.set_foreground_opacity(overlay_opacity)
        self._view.render_window().Render()
        grab = vtkWindowToImageFilter()
        grab.SetInput(self._view.render_window())
        grab.ReadFrontBufferOff()
        grab.SetInputBufferTypeToRGB()
        grab.Update()
        width, height, _ = grab.GetOutput().GetDimensions()
        return vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars()).reshape(height, width, 3)[::-1].copy()

    def directions(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where right and up point to in the plane drawn last (RAS unit vectors)."""
        matrix = slicer.util.arrayFromVTKMatrix(self._view.get_view_node().GetSliceToRAS())
        return matrix[:3, 0], matrix[:3, 1]

    def overlay_colors(self) -> tuple[np.ndarray, float]:
        """Return the overlay's colours along its window (n, 3; 0..1) and the lowest fraction of it shown."""
        display = self._overlay.GetDisplayNode()
        table = display.GetColorNode()
        colors = np.array([_color(table, index)[:3] for index in range(table.GetNumberOfColors())])
        low, width = display.GetWindowLevelMin(), display.GetWindow()
        lowest = (display.GetLowerThreshold() - low) / width if display.GetApplyThreshold() else 0.0
        return colors, float(np.clip(lowest, 0.0, 1.0))

    def close(self) -> None:
        """Free the window and the copies."""
        self._view.finalize()
        self._app.scene.Clear(True)

    def _copy_volume(self, volume: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLScalarVolumeNode:
        copy = self._app.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", volume.GetName())
        copy.CopyOrientation(volume)
        copy.SetAndObserveTransformNodeID(self._transform)
        copy.CreateDefaultDisplayNodes()
        copy.GetDisplayNode().AutoWindowLevelOff()  # before there are voxels, see `volumes.add_volume`
        copy.SetAndObserveImageData(volume.GetImageData())
        return copy

    def _copy_segment(self, nodes: ResultNodes) -> None:
        segment_id = segment_id_of(nodes)
        copy = self._app.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", nodes.segmentation.GetName())
        copy.SetAndObserveTransformNodeID(self._transform)
        copy.SetReferenceImageGeometryParameterFromVolumeNode(self._ct)
        copy.GetSegmentation().CopySegmentFromSegmentation(nodes.segmentation.GetSegmentation(), segment_id)
        copy.CreateDefaultDisplayNodes()
        display, original = copy.GetDisplayNode(), nodes.segmentation.GetDisplayNode()
        display.SetVisibility(original is None or bool(original.GetVisibility()))
        display.SetSegmentVisibility(segment_id, original is None or original.GetSegmentVisibility(segment_id))
        display.SetVisibility2DFill(False)
        display.SetSliceIntersectionThickness(OUTLINE_PIXELS)


@contextmanager
def open_picture_scene(
    nodes: ResultNodes, overlay: slicer.vtkMRMLScalarVolumeNode, size: tuple[int, int], within_body: bool = False
) -> Iterator[PictureScene]:
    """Yield a scene to draw the result in, `size` being each slice's width and height in pixels.

    `within_body` leaves the overlay out where the CT shows no patient.

    Only where `require_offscreen_rendering` is content: VTK crashes elsewhere. What a second application
    changes for the process (the factory's application logic, VTK's message window) is put back.
    """
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    factory_3d = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
    logics = factory.GetMRMLApplicationLogic(), factory_3d.GetMRMLApplicationLogic()
    window = vtkOutputWindow.GetInstance()
    try:
        picture = PictureScene(nodes, overlay, size, within_body)
        try:
            yield picture
        finally:
            picture.close()
    finally:
        factory.SetMRMLApplicationLogic(logics[0])
        factory_3d.SetMRMLApplicationLogic(logics[1])
        vtkOutputWindow.SetInstance(window)


def _copy_parent_transform(volume: slicer.vtkMRMLScalarVolumeNode, scene: slicer.vtkMRMLScene) -> str | None:
    parent = volume.GetParentTransformNode()
    if parent is None:
        return None
    to_world = vtkGeneralTransform()
    parent.GetTransformToWorld(to_world)
    copy = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    copy.SetAndObserveTransformToParent(to_world)
    return copy.GetID()


def _copy_colors(source: slicer.vtkMRMLScalarVolumeNode, target: slicer.vtkMRMLScalarVolumeNode) -> None:
    display, original = target.GetDisplayNode(), source.GetDisplayNode()
    color = original.GetColorNode()
    copy = target.GetScene().AddNewNodeByClass("vtkMRMLColorTableNode")
    copy.SetTypeToUser()
    copy.SetNumberOfColors(color.GetNumberOfColors())
    for index in range(color.GetNumberOfColors()):
        copy.SetColor(index, *_color(color, index))
    display.SetAndObserveColorNodeID(copy.GetID())
    display.SetWindowLevel(original.GetWindow(), original.GetLevel())
    display.AutoThresholdOff()
    display.SetThreshold(original.GetLowerThreshold(), original.GetUpperThreshold())
    display.SetApplyThreshold(original.GetApplyThreshold())


def _color(node: slicer.vtkMRMLColorNode, index: int) -> list[float]:
    rgba = [0.0] * 4
    node.GetColor(index, rgba)
    return rgba

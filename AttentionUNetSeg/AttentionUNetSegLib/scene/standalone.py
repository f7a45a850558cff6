"""A scene with its logics where no Slicer runs: the command line, tests, pictures."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import slicer
from vtkmodules.util.misc import calldata_type
from vtkmodules.util.vtkConstants import VTK_OBJECT, VTK_STRING
from vtkmodules.vtkCommonCore import vtkCommand, vtkLogger, vtkOutputWindow

from .fields import inferno_color_node

if TYPE_CHECKING:
    from trame_slicer.core import SlicerApp

_log = logging.getLogger(__name__)


def open_standalone_scene() -> tuple[SlicerApp, slicer.vtkMRMLScene]:
    """Return a new trame-slicer application (keep it: its logics live as long as it does) and its empty MRML scene.

    Sets `slicer.mrmlScene`. VTK's and MRML's errors and warnings go to this module's logger, as error and
    info: stdout and stderr stay the caller's.
    """
    app = new_application()
    slicer.mrmlScene = app.scene
    return app, app.scene


def new_application() -> SlicerApp:
    """Return a trame-slicer application with an empty scene that knows Slicer's Inferno table; see above."""
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    # Only here: desktop Slicer has no trame_slicer, and its import takes half a second.
    from trame_slicer.core.slicer_app import SlicerApp

    app = SlicerApp()
    _log_vtk_messages()  # after SlicerApp, which installs a window that prints to stderr
    inferno_color_node(app.scene)
    app.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())  # as Slicer's module Colors does
    _remove_items_with_their_nodes(app.scene)
    return app


def _remove_items_with_their_nodes(scene: slicer.vtkMRMLScene) -> None:
    """Let a node that leaves the scene take its item of the subject hierarchy along, as in desktop Slicer.

    An item that stays is found again by the next node that comes to lie at the same address ("DataNodeCache
    inconsistency").
    """

    @calldata_type(VTK_OBJECT)
    def on_removed(scene: slicer.vtkMRMLScene, _event: str, node: slicer.vtkMRMLNode) -> None:
        hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
        item = 0 if hierarchy is None or hierarchy is node else hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False, False)

    def on_close(scene: slicer.vtkMRMLScene, _event: str) -> None:
        hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
        if hierarchy is not None:  # it may be the first node to go
            hierarchy.RemoveAllItems(False)

    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, on_removed)
    scene.AddObserver(scene.StartCloseEvent, on_close)


def _log_vtk_messages() -> None:
    window = vtkOutputWindow()
    window.SetDisplayModeToNever()

    @calldata_type(VTK_STRING)
    def on_error(_window: vtkOutputWindow, _event: str, text: str) -> None:
        _log.error("%s", text.strip())

    @calldata_type(VTK_STRING)
    def on_warning(_window: vtkOutputWindow, _event: str, text: str) -> None:
        _log.info("%s", text.strip())

    window.AddObserver(vtkCommand.ErrorEvent, on_error)
    window.AddObserver(vtkCommand.WarningEvent, on_warning)
    vtkOutputWindow.SetInstance(window)

"""Windows of a CT: presets, and the one for the abdomen where nobody chose any."""

from __future__ import annotations

import slicer

# Width and level in Hounsfield units, as radiology uses them.
PRESETS = {
    "Abdomen": (400.0, 40.0),
    "Pancreas": (250.0, 60.0),
    "Liver": (150.0, 90.0),
    "Vessels": (600.0, 170.0),
    "Bone": (1800.0, 400.0),
    "Lung": (1500.0, -600.0),
}


def set_window(volume_node: slicer.vtkMRMLScalarVolumeNode, name: str) -> None:
    """Show a CT in one of the windows of `PRESETS`."""
    display = _display_of(volume_node)
    modifying = display.StartModify()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(*PRESETS[name])
    display.EndModify(modifying)


def set_window_unless_chosen(volume_node: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Show a CT in the abdomen's window where Slicer found one by itself; return whether it was changed.

    A window from DICOM or from a person's hand is not automatic, and stays.
    """
    if not _display_of(volume_node).GetAutoWindowLevel():
        return False
    set_window(volume_node, "Abdomen")
    return True


def window_name(volume_node: slicer.vtkMRMLScalarVolumeNode) -> str | None:
    """Return which of `PRESETS` a CT is shown in; None for any other."""
    display = volume_node.GetDisplayNode()
    if display is None or display.GetAutoWindowLevel():
        return None
    shown = display.GetWindow(), display.GetLevel()
    return next((name for name, window in PRESETS.items() if window == shown), None)


def _display_of(volume_node: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLScalarVolumeDisplayNode:
    volume_node.CreateDefaultDisplayNodes()
    return volume_node.GetDisplayNode()

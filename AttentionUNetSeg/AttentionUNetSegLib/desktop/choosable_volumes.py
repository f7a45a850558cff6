"""Which volumes can be chosen as a CT: none that the module itself made, and what speaks against another.

Doubts are told before a run, and a person may override them.
"""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from ..errors import BadInput
from ..imaging import intensity_doubts
from ..models import ModelPackage
from ..scene.provenance import PREFIX
from ..scene.volumes import PHANTOM_ATTRIBUTE

# Looking at some 64 voxels along each axis tells a CT from another image, and takes no time on a large one.
_LOOKED_AT = 64


def is_own(node: Any) -> bool:
    """Whether a node is part of a result: a probability, an attention map, strokes, a start."""
    return node is not None and bool(node.GetAttribute(f"{PREFIX}role"))


def hide_own_volumes(selector: Any) -> None:
    """Keep the volumes that belong to results out of a node selector."""
    own = [node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if is_own(node)]
    model = selector.sortFilterProxyModel()
    if list(model.hiddenNodeIDs or ()) != own:
        model.hiddenNodeIDs = own


def volume_doubts(volume_node: slicer.vtkMRMLScalarVolumeNode, package: ModelPackage | None = None) -> tuple[str, ...]:
    """Return sentences; none for an ordinary CT and a model that was made for it."""
    doubts = []
    modality = _modality(volume_node)
    if modality not in ("", "CT"):
        doubts.append(_("This volume is of modality {modality}, not CT.").format(modality=modality))
    doubts += _about_values(volume_node)
    is_phantom = volume_node.GetAttribute(PHANTOM_ATTRIBUTE) == "1"
    if package is not None and package.is_phantom_only and not is_phantom:
        text = _('The model "{name}" was made for computer-made phantoms: on a real scan its result means nothing.')
        doubts.append(text.format(name=package.name))
    return tuple(doubts)


def _about_values(volume_node: slicer.vtkMRMLScalarVolumeNode) -> list[str]:
    if volume_node.GetImageData() is None:
        return [_("This volume holds no voxels.")]
    voxels = slicer.util.arrayFromVolume(volume_node)
    if voxels.ndim != 3 or not voxels.size:
        return [_("This volume is not a single three-dimensional grey-value image.")]
    steps = tuple(slice(None, None, max(1, size // _LOOKED_AT)) for size in voxels.shape)
    try:
        return list(intensity_doubts(voxels[steps], any_intensity=True))
    except BadInput as error:
        return [error.message]


def _modality(volume_node: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Return the DICOM modality that Slicer's DICOM import noted in the subject hierarchy, or ""."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume_node.GetScene())
    if hierarchy is None:
        return ""
    item = hierarchy.GetItemByDataNode(volume_node)
    return (hierarchy.GetItemAttribute(item, "DICOM.Modality") or "") if item else ""

"""The input list without what the module itself made: no result's field is a CT."""

from __future__ import annotations

from typing import Any

import slicer

from ..scene.provenance import PREFIX


def is_own(node: Any) -> bool:
    """Whether a node is part of a result: a probability, an attention map, strokes, a start."""
    return node is not None and bool(node.GetAttribute(f"{PREFIX}role"))


def hide_own_volumes(selector: Any) -> None:
    """Keep the volumes that belong to results out of a node selector."""
    own = [node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if is_own(node)]
    model = selector.sortFilterProxyModel()
    if list(model.hiddenNodeIDs or ()) != own:
        model.hiddenNodeIDs = own

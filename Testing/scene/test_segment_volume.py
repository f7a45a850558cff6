"""The segment's volume in mL on grids that lie aslant, and after a transform was hardened: one number everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from AttentionUNetSegLib.scene import segment_volume_ml, set_threshold
from AttentionUNetSegLib.scene.geometry import ijk_to_ras_of_node

SHEAR = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.6, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
SCALE = np.diag([1.1, 1.2, 1.3, 1.0])


def harden(node, matrix: np.ndarray) -> None:
    transform = node.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    node.HardenTransform()


@pytest.mark.parametrize(("matrix", "factor"), [(SHEAR, 1.0), (SCALE, 1.1 * 1.2 * 1.3), (SHEAR @ SCALE, 1.716)])
def test_a_hardened_result_has_one_volume(nodes, job, matrix, factor):
    voxels = np.count_nonzero(job.expected_mask(0.5))
    before = voxels * np.prod(job.ct.GetSpacing()) / 1000.0
    assert segment_volume_ml(nodes) == pytest.approx(before)
    for node in (nodes.volume, nodes.segmentation, nodes.probability):
        harden(node, matrix)
    # The product of the spacings, which was taken for the volume of a voxel, is another number on a sheared grid.
    assert segment_volume_ml(nodes) == pytest.approx(before * factor)
    assert set_threshold(nodes, 0.5) == pytest.approx(before * factor)
    assert segment_volume_ml(nodes) == pytest.approx(before * factor)
    spacings = np.prod(np.linalg.norm(ijk_to_ras_of_node(nodes.volume)[:3, :3], axis=0)) * voxels / 1000.0
    assert (spacings == pytest.approx(before * factor, rel=1e-3)) == (matrix is SCALE)

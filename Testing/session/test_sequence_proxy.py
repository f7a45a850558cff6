"""A time point of a sequence: its volume is a proxy, whose voxels are replaced whenever somebody browses."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from AttentionUNetSegLib.session import Progressed, SegmentRequest, Session, Warned

LIMIT = 600.0


class Browser:
    """Slicer's own sequence browser over a sequence of CTs."""

    def __init__(self, scene, volume_node) -> None:
        sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "CT over time")
        sequence.SetIndexName("time")
        for shift in (0, 5, 10):
            slicer.util.updateVolumeFromArray(volume_node, slicer.util.arrayFromVolume(volume_node) + np.int16(shift))
            sequence.SetDataNodeAtValue(volume_node, str(shift))
        scene.RemoveNode(volume_node)
        scene.RegisterNodeClass(slicer.vtkMRMLSequenceBrowserNode())  # which slicer-core leaves to Slicer's module
        self._browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
        self._browser.AddSynchronizedSequenceNode(sequence)
        self._logic = slicer.vtkSlicerSequencesLogic()
        self._logic.SetMRMLScene(scene)
        self.select(0)
        self.proxy = self._browser.GetProxyNode(sequence)

    def select(self, time_point: int) -> None:
        self._browser.SetSelectedItemNumber(time_point)
        self._logic.UpdateProxyNodesFromSequences(self._browser)


@pytest.fixture
def browser(scene, volume_node):
    phantom = volume_node.GetAttribute("AttentionUNetSeg.phantom")
    browser = Browser(scene, volume_node)
    browser.proxy.SetAttribute("AttentionUNetSeg.phantom", phantom)
    return browser


def test_a_proxy_volume_is_segmented_where_it_lies(one_worker, scene, browser, tiny_model_package, listener):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = (30.0, -20.0, 15.0)
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    browser.proxy.SetAndObserveTransformNodeID(transform.GetID())
    with Session(transport_factory=one_worker, listener=listener) as session:
        result = session.wait(
            session.segment(browser.proxy, SegmentRequest(model=tiny_model_package, device="cpu")), LIMIT
        )
        browser.select(1)
        smaller = session.set_threshold(result, 0.9)
        assert smaller <= session.set_threshold(result, 0.1)
    assert result.nodes.volume is browser.proxy
    assert result.nodes.segmentation.GetTransformNodeID() == transform.GetID()
    assert not any("other values" in event.text for event in listener.of(Warned))


@pytest.mark.parametrize("time_point", [0, 2], ids=["the same again", "another"])
def test_browsing_during_the_run_is_told(one_worker, browser, tiny_model_package, listener, time_point):
    def browse(event):
        if isinstance(event, Progressed) and not browsed:
            browsed.append(event)
            browser.select(time_point)

    browsed = []
    listener.reactions.append(browse)
    with Session(transport_factory=one_worker, listener=listener) as session:
        result = session.wait(
            session.segment(browser.proxy, SegmentRequest(model=tiny_model_package, device="cpu")), LIMIT
        )
    assert browsed
    assert any("other values" in text for text in result.warnings) == (time_point == 2)

"""qMRML widgets on the real MRML scene."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import slicer
from vtkmodules.vtkCommonCore import vtkObject

from .qt_objects import QObject
from .qt_widgets import QWidget
from .signals import Signal
from .strict import Property


class qMRMLWidget(QWidget, listed_as="slicer.qMRMLWidget"):
    """A widget with a scene; a .ui file passes it on by its connections."""

    mrmlSceneChanged = Signal("mrmlSceneChanged(vtkMRMLScene*)")

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._d.scene = None

    def mrmlScene(self) -> Any:
        return self._d.scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._d.scene:
            self._d.scene = scene
            self.mrmlSceneChanged.emit(scene)


class NodeFilter:
    """qMRMLSortFilterProxyModel, as far as a selector's own list of nodes goes. It is not in the list of names."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._hidden: tuple[str, ...] = ()
        self._on_change = on_change

    @property
    def hiddenNodeIDs(self) -> tuple[str, ...]:
        """The nodes that are left out whatever else the selector says."""
        return self._hidden

    @hiddenNodeIDs.setter
    def hiddenNodeIDs(self, ids: list[str]) -> None:
        self._hidden = tuple(ids)
        self._on_change()


class NodeChoice(QWidget):
    """What qMRMLNodeComboBox and qMRMLColorTableComboBox share.

    As in Slicer, a selector that may not be empty takes the first node that suits, at once and whenever it has none.
    """

    nodeTypes = Property(())
    noneEnabled = Property(False)
    noneDisplay = Property("None")
    addEnabled = Property(True)
    removeEnabled = Property(True)
    renameEnabled = Property(False)
    showHidden = Property(False)
    showChildNodeTypes = Property(True)
    baseName = Property("")
    currentNodeChanged = Signal("currentNodeChanged(vtkMRMLNode*)", "currentNodeChanged(bool)")
    currentNodeIDChanged = Signal("currentNodeIDChanged(QString)")
    nodeAddedByUser = Signal("nodeAddedByUser(vtkMRMLNode*)")

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._d.scene = None
        self._d.node_id = ""
        self._d.attributes = []
        self._d.tags = []
        self._d.filter = NodeFilter(self._refresh)

    def sortFilterProxyModel(self) -> NodeFilter:
        return self._d.filter

    def mrmlScene(self) -> Any:
        return self._d.scene

    def setMRMLScene(self, scene: Any) -> None:
        self._stop_watching()
        self._d.scene = scene
        if scene is not None:
            selector = weakref.ref(self)

            def refresh(_scene: Any, _event: str) -> None:
                if (alive := selector()) is not None and not alive._d.is_deleted:
                    alive._refresh()

            events = [scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent, scene.EndCloseEvent]
            self._d.tags = [scene.AddObserver(event, refresh) for event in events]
        self._refresh()

    def currentNode(self) -> Any:
        return self._d.scene.GetNodeByID(self._d.node_id) if self._d.scene and self._d.node_id else None

    @property
    def currentNodeID(self) -> str:
        return self._d.node_id

    @currentNodeID.setter
    def currentNodeID(self, node_id: str) -> None:
        self.setCurrentNodeID(node_id)

    def setCurrentNodeID(self, node_id: str) -> None:
        self.setCurrentNode(self._d.scene.GetNodeByID(node_id) if node_id else None)

    def setCurrentNode(self, node: Any) -> None:
        if self._d.scene is None:
            raise RuntimeError(f"{self.objectName}: set the scene before the node (setMRMLScene).")
        if node is not None and not isinstance(node, vtkObject):
            raise TypeError(f"{self.listed_as}.setCurrentNode takes a node, not {node!r}.")
        suits = node is not None and any(node is other for other in self._nodes())
        if suits:
            self._put(node.GetID())
        elif self.noneEnabled or not self._nodes():
            self._put("")

    def setCurrentNodeIndex(self, index: int) -> None:
        nodes = self._nodes()
        self.setCurrentNode(nodes[index] if 0 <= index < len(nodes) else None)

    def nodeFromIndex(self, index: int) -> Any:
        nodes = self._nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

    def addNode(self) -> Any:
        node = self._d.scene.AddNewNodeByClass(self.nodeTypes[0], self.baseName)
        self._put(node.GetID())
        self.nodeAddedByUser.emit(node)
        return node

    def _nodes(self) -> list[Any]:
        if self._d.scene is None:
            return []
        nodes = [node for kind in self.nodeTypes for node in slicer.util.getNodesByClass(kind, self._d.scene)]
        return [node for node in nodes if self._suits(node)]

    def _suits(self, node: Any) -> bool:
        if not self.showChildNodeTypes and node.GetClassName() not in self.nodeTypes:
            return False
        if (node.GetHideFromEditors() and not self.showHidden) or node.GetID() in self._d.filter.hiddenNodeIDs:
            return False
        return all(
            node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name))
            for kind, name, value in self._d.attributes
            if node.IsA(kind)
        )

    def _refresh(self) -> None:
        scene = self._d.scene
        if scene is not None and (scene.IsBatchProcessing() or scene.IsClosing()):
            return
        nodes = self._nodes()
        if any(node.GetID() == self._d.node_id for node in nodes):
            return
        # Where the current node goes, Slicer takes the next in the list; with "None" allowed, too.
        self._put(nodes[0].GetID() if nodes and (self._d.node_id or not self.noneEnabled) else "")

    def _put(self, node_id: str) -> None:
        if node_id == self._d.node_id:
            return
        self._d.node_id = node_id
        node = self.currentNode()
        self.currentNodeChanged.emit_overloads(
            {"currentNodeChanged(vtkMRMLNode*)": (node,), "currentNodeChanged(bool)": (node is not None,)}
        )
        self.currentNodeIDChanged.emit(node_id)

    def _stop_watching(self) -> None:
        for tag in self._d.tags:
            self._d.scene.RemoveObserver(tag)
        self._d.tags = []


class qMRMLNodeComboBox(NodeChoice, listed_as="slicer.qMRMLNodeComboBox"):
    """A selector of nodes of some types."""


class qMRMLColorTableComboBox(NodeChoice, listed_as="slicer.qMRMLColorTableComboBox"):
    """A selector of colour tables; those are hidden nodes."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._d.values.update(nodeTypes=("vtkMRMLColorTableNode", "vtkMRMLProceduralColorNode"), showHidden=True)


class qMRMLSegmentEditorWidget(QWidget, listed_as="slicer.qMRMLSegmentEditorWidget"):
    """Segment Editor's own widget: which segment of which segmentation it edits, on which volume.

    Without a parameter node it takes nothing. Closing a scene takes that away, and entering the module gives a new one.
    Its undo brings back whole masks (vtkSegmentationHistory), as many as it is told to keep.
    """

    maximumNumberOfUndoStates = Property(10)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._d.nodes = {"segmentation": "", "volume": ""}
        self._d.segment_id = ""
        self._d.states = []
        self._d.has_parameters = False

    def _select_parameter_node(self) -> None:
        self._d.has_parameters = True

    def segmentationNode(self) -> Any:
        return slicer.mrmlScene.GetNodeByID(self._d.nodes["segmentation"]) if self._d.nodes["segmentation"] else None

    def setSegmentationNode(self, node: Any) -> None:
        if not self._d.has_parameters:
            raise RuntimeError("qMRMLSegmentEditorWidget::setSegmentationNode failed: invalid parameter set node")
        self._d.nodes = {"segmentation": node.GetID() if node is not None else "", "volume": ""}

    def sourceVolumeNode(self) -> Any:
        return slicer.mrmlScene.GetNodeByID(self._d.nodes["volume"]) if self._d.nodes["volume"] else None

    def setSourceVolumeNode(self, node: Any) -> None:
        self._d.nodes["volume"] = node.GetID() if node is not None else ""

    def setCurrentSegmentID(self, segment_id: str) -> None:
        segmentation = self.segmentationNode()
        if segmentation is None or segmentation.GetSegmentation().GetSegment(segment_id) is None:
            raise ValueError(f"There is no segment {segment_id!r} to select.")
        self._d.segment_id = segment_id

    def saveStateForUndo(self) -> None:
        segmentation = slicer.vtkSegmentation()
        segmentation.DeepCopy(self.segmentationNode().GetSegmentation())
        self._d.states.append(segmentation)
        del self._d.states[: -self.maximumNumberOfUndoStates or None]

    def undo(self) -> None:
        if self._d.states:
            self.segmentationNode().GetSegmentation().DeepCopy(self._d.states.pop())

    def setMaximumNumberOfUndoStates(self, count: int) -> None:
        self.maximumNumberOfUndoStates = count
        self._d.states = self._d.states[-count:] if count else []

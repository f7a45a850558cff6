"""Segmentations from elsewhere, as the start of a result or as walls: sent as a file, or taken from the scene."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import slicer

from ..errors import BadInput
from ..imaging import SegmentationFile, StoredSegment, open_segmentation, read_probability
from ..scene import ResultNodes, import_start
from ..scene.provenance import read
from ..session import start_from_segment, start_from_volume
from .background import in_background
from .ct_opener import CTOpener
from .questions import Questions
from .uploads import PROBABILITY, WALL, display_name, name_of_volume, without_our_names
from .walls import Walls
from .workspace import Workspace


@dataclass(frozen=True)
class _Offered:
    """A file of several segments that a person chooses from.

    It is deleted when they have chosen: the pixels of a DICOM SEG are read then.
    """

    file: SegmentationFile
    name: str
    purpose: str
    path: Path


class SegmentationImport:
    """Begins a result without the network.

    State: `start_choices`, what the scene has to start from (value, title); `offered`, segments of a file to choose
    from: a dict (name, purpose, choices: value, title), or None.

    Parameters
    ----------
    workspace : whose CT it belongs to.
    questions : asked before corrections are lost.
    opener : opens one thing at a time, and can be cancelled.
    walls : take the other segments.
    on_started : called with each new result.
    """

    def __init__(
        self,
        workspace: Workspace,
        questions: Questions,
        opener: CTOpener,
        walls: Walls,
        on_started: Callable[[ResultNodes], None],
    ) -> None:
        self._workspace = workspace
        self._questions = questions
        self._opener = opener
        self._walls = walls
        self._on_started = on_started
        self._offered: _Offered | None = None
        workspace.server.state.update({"start_choices": [], "offered": None})
        controller = workspace.server.controller
        workspace.server.trigger("start_from_node")(self.take_node)
        controller.add("use_offered")(self.use_offered)
        controller.add("forget_offered")(self.forget_offered)

    async def take_file(self, path: Path, sent_name: str, purpose: str) -> None:
        """Read a file that the page sent, which is deleted afterwards; asks first where corrections would be lost."""
        is_missing = self._workspace.volume is None or (purpose == WALL and self._workspace.editor is None)
        if is_missing or not self._opener.is_idle():
            path.unlink(missing_ok=True)
            if is_missing:
                self._workspace.notice("warning", "", "Open the CT first.")
            return

        def go_on() -> None:
            self._opener.run(self._read(path, display_name(sent_name), purpose))

        if purpose == WALL:
            go_on()
        else:
            self._ask(go_on, on_no=lambda: path.unlink(missing_ok=True))

    def take_node(self, value: str) -> None:
        """Start from what `start_choices` calls by this value."""
        kind, _, rest = value.partition(":")
        node_id, _, segment_id = rest.partition(":")
        node = self._workspace.scene.GetNodeByID(node_id)
        if node is None or self._workspace.volume is None or not self._opener.is_idle():
            return

        def start() -> None:
            with self._workspace.reporting():
                volume = self._workspace.require_volume()
                is_segment = kind == "segment"
                self._show(
                    *(start_from_segment(volume, node, segment_id) if is_segment else start_from_volume(volume, node))
                )

        self._ask(start)

    def use_offered(self, values: list[int]) -> None:
        """Go on with the chosen segments of the offered file: one to start from, or any number of walls."""
        offered = self._offered
        if offered is None:
            return
        known = [n for n in values if 0 <= n < len(offered.file.segments)]
        if known and self._opener.is_idle():
            self._offered = None
            self._workspace.show(offered=None)
            self._opener.run(self._use_and_delete(offered, known))

    def forget_offered(self) -> None:
        """Use none of what is offered."""
        if self._offered is not None:
            self._offered.path.unlink(missing_ok=True)
        self._offered = None
        self._workspace.show(offered=None)

    def publish(self) -> None:
        """Write what the scene has to start from into the page's state."""
        scene, choices = self._workspace.scene, []
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene):
            segmentation = node.GetSegmentation()
            for n in range(0 if node.GetHideFromEditors() else segmentation.GetNumberOfSegments()):
                name = segmentation.GetNthSegmentID(n)
                title = f"{segmentation.GetSegment(name).GetName()} ({node.GetName()})"
                choices.append({"value": f"segment:{node.GetID()}:{name}", "title": title})
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene):
            if node is not self._workspace.volume and read(node, "role") is None and not node.GetHideFromEditors():
                choices.append({"value": f"volume:{node.GetID()}", "title": node.GetName()})
        self._workspace.show(start_choices=choices)

    def _ask(self, do: Callable[[], object], on_no: Callable[[], object] = lambda: None) -> None:
        self._questions.ask_before_losing("Start from a segmentation", do, on_no=on_no)

    async def _read(self, path: Path, name: str, purpose: str) -> None:
        self._workspace.show(opening=f"Reading {name}")
        is_offered = False
        try:
            if purpose == PROBABILITY:
                stored = await in_background(read_probability, path)
                self._begin(dataclasses.replace(stored, name=_stem(name)), name)
                return
            file = await in_background(open_segmentation, path)
            if len(file.segments) > 1:
                self._offer(_Offered(await in_background(file.measured), name, purpose, path))
                is_offered = True
            elif file.segments:
                await self._use(_Offered(file, name, purpose, path), [0])
            else:
                raise BadInput(f"{name} is empty: it holds no segment.", "Choose another file.")
        except BadInput as error:
            raise without_our_names(error, path, name) from error
        finally:
            self._workspace.show(opening="")
            if not is_offered:
                path.unlink(missing_ok=True)

    def _offer(self, offered: _Offered) -> None:
        self.forget_offered()
        self._offered = offered
        choices = [{"value": n, "title": segment.title} for n, segment in enumerate(offered.file.segments)]
        choices.sort(key=lambda each: "pancrea" not in str(each["title"]).lower())
        self._workspace.show(offered={"name": offered.name, "purpose": offered.purpose, "choices": choices})

    async def _use_and_delete(self, offered: _Offered, indices: list[int]) -> None:
        try:
            await self._use(offered, indices)
        except BadInput as error:
            raise without_our_names(error, offered.path, offered.name) from error
        finally:
            offered.path.unlink(missing_ok=True)

    async def _use(self, offered: _Offered, indices: list[int]) -> None:
        try:
            for index in indices:
                self._workspace.show(opening=f"Taking over {offered.name}")
                await self._workspace.breathe()
                segment = offered.file.segments[index]
                stored = await in_background(offered.file.take, index)
                alone = len(offered.file.segments) == 1
                stem = _stem(offered.name)
                stored = dataclasses.replace(
                    stored, name=segment.name or (stem if alone else f"{stem} {segment.value}")
                )
                if offered.purpose == WALL:
                    self._walls.add(stored)
                else:
                    self._begin(stored, offered.name)
                    return
            self.publish()
        finally:
            self._workspace.show(opening="")

    def _begin(self, stored: StoredSegment, name: str) -> None:
        self._show(*import_start(self._workspace.scene, self._workspace.volume, stored, name))

    def _show(self, nodes: ResultNodes, warnings: list[str]) -> None:
        self._workspace.clear_notices()
        self._on_started(nodes)
        for text in warnings:
            self._workspace.notice("warning", text, "About this segmentation")


def _stem(name: str) -> str:
    return name_of_volume(name).removesuffix(".seg")

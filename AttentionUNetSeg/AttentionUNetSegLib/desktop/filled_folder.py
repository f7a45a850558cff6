"""A temporary folder that is filled with a result while Slicer goes on: what a process of its own will read."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import AttentionUNetSegError, BadInput
from ..scene import ResultNodes, provenance, settings_of, state_of_segment
from ..scene.segment import DIGEST
from ..scene.volumes import state_of_voxels
from .delayed_call import DelayedCall
from .processes import folder_with, no_place


class FilledFolder:
    """A temporary folder that is filled with a result in parts, between which Qt's event loop goes on.

    Where the result or its CT changes meanwhile it is filled anew: parts of two states are of none.

    Parameters
    ----------
    name : part of the folder's name.
    purpose : what is being done to the result, for people: "measured", "exported".
    write : fills the folder, and yields after each part.
    then : called with the folder, which is its own from then on.
    on_error : called instead with what went wrong; neither is called after `cancel`.
    """

    def __init__(
        self,
        nodes: ResultNodes,
        name: str,
        purpose: str,
        write: Callable[[Path], Iterator[None]],
        then: Callable[[Path], None],
        on_error: Callable[[AttentionUNetSegError], None],
    ) -> None:
        self._nodes, self._name, self._purpose = nodes, name, purpose
        self._write, self._then, self._on_error = write, then, on_error
        self.state = ""
        self._seen: object = None
        self._folder, self._is_ours = Path(), False
        self._parts: Iterator[None] = iter(())
        self._next = DelayedCall(0, self._go_on)

    def start(self) -> None:
        """Do the first part; raises CannotWrite, and what `write` raises at once."""
        self._folder, self._is_ours = folder_with(self._name, lambda folder: None), True
        try:
            self._begin()
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Stop; the folder goes."""
        self._next.drop()
        if self._is_ours:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self) -> None:
        self.state, self._seen = state_of_segment(self._nodes), _what_is_seen(self._nodes)
        self._parts = self._write(self._folder)
        next(self._parts)
        self._next.request()

    def _go_on(self) -> None:
        try:
            for node, what in ((self._nodes.segmentation, "result"), (self._nodes.volume, "CT of the result")):
                if node.GetScene() is None:
                    raise BadInput(f"The {what} was removed from the scene before the result was {self._purpose}.")
            if _what_is_seen(self._nodes) != self._seen:
                self._begin()
                return
            for _part in self._parts:
                self._next.request()
                return
        except AttentionUNetSegError as error:
            self.cancel()
            self._on_error(error)
        except OSError as error:
            self.cancel()
            self._on_error(no_place(error))
        else:
            self._is_ours = False
            self._then(self._folder)


def _what_is_seen(nodes: ResultNodes) -> tuple[object, ...]:
    """Return what changes when the segment or the CT does, without a look at every voxel."""
    voxels = (state_of_voxels(node) for node in (nodes.volume, nodes.field))
    return (settings_of(nodes), provenance.read(nodes.segmentation, DIGEST), *voxels)

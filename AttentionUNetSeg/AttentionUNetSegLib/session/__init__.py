"""The one controller behind every front end: volume nodes in, events and result nodes out.

    with Session() as session:
        result = session.wait(session.segment(volume_node, SegmentRequest(device="cpu")))

`controller` holds the `Session`, `events` what it takes and what it tells a `SessionListener`, `job` one segmentation
in the making, `starting` makes a result of a segmentation from elsewhere, `editing` the `ResultEditor` that clicks,
strokes, undo and redo go through. Neither Qt nor torch is imported.
"""

from ..contracts import Click
from .change import Change
from .click_rules import DoubtfulClick
from .controller import Session
from .editing import ResultEditor
from .events import (
    Event,
    Failed,
    Progressed,
    ResultReady,
    SegmentRequest,
    SegmentResult,
    SessionListener,
    State,
    StateChanged,
    Warned,
    WorkerReady,
)
from .starting import (
    add_wall_to,
    start_from_file,
    start_from_segment,
    start_from_volume,
    wall_from_file,
    wall_from_segment,
)

__all__ = [
    "Session",
    "SessionListener",
    "ResultEditor",
    "Change",
    "Click",
    "DoubtfulClick",
    "add_wall_to",
    "start_from_file",
    "start_from_segment",
    "start_from_volume",
    "wall_from_file",
    "wall_from_segment",
    "SegmentRequest",
    "SegmentResult",
    "State",
    "Event",
    "StateChanged",
    "Progressed",
    "Warned",
    "WorkerReady",
    "ResultReady",
    "Failed",
]

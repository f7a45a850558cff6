"""Results as nodes of a real MRML scene: in desktop Slicer, and in a standalone scene of slicer-core.

The scene is always passed in; nothing here uses `slicer.app` or `slicer.modules`. Volumes cross between
SimpleITK (LPS) and MRML (RAS) voxel by voxel, never resampled.
"""

from .clicks import (
    placed,
    read_clicks,
    require_click_lists,
    voxel_of,
    world_position,
    world_position_of_voxel,
    write_clicks,
)
from .corrections import copy_in_parts, read_strokes, write_corrected, write_strokes
from .display import FADE, FadingOverlay, show_attention
from .fields import CroppedField, joined_box, read_field, tight_box
from .importing import import_in_parts, import_result, label_of_segment
from .marks import Mark, indices_of, read_marks, write_marks
from .measurement_age import are_old, state_of_segment
from .measurements import (
    masks_of_result,
    measure_result,
    measurement_table,
    read_table,
    show_centre_line,
    write_measured_in_parts,
)
from .overview import RenderingUnavailable, render_overview
from .place_check import Apart, find_apart, move_along, require_together
from .results import ResultNodes, delete_result, find_results, nodes_of_segmentation
from .saving import load_scene, save_scene, save_segmentation, saved_scene
from .segment import center_of_segment, segment_volume_ml
from .showing import arrange_slice_views, center_slices, give_own_color, show_also_others, show_ct, show_only
from .standalone import open_standalone_scene
from .starting import (
    import_start,
    mask_of_segment,
    segment_in_frame_of,
    segment_on_source_grid,
    start_of,
    volume_in_frame_of,
)
from .strokes import new_strokes
from .threshold import recompute_segment, set_threshold, settings_of
from .volumes import add_volume, export_in_parts, export_volume
from .walls import add_wall, mask_of_walls, read_walls, state_of_walls, walls_on_ct, write_walls

__all__ = [
    "Apart",
    "CroppedField",
    "FADE",
    "FadingOverlay",
    "Mark",
    "RenderingUnavailable",
    "ResultNodes",
    "add_volume",
    "add_wall",
    "are_old",
    "arrange_slice_views",
    "center_of_segment",
    "center_slices",
    "copy_in_parts",
    "delete_result",
    "export_in_parts",
    "export_volume",
    "find_apart",
    "find_results",
    "give_own_color",
    "indices_of",
    "import_in_parts",
    "import_result",
    "import_start",
    "joined_box",
    "label_of_segment",
    "load_scene",
    "masks_of_result",
    "measure_result",
    "measurement_table",
    "move_along",
    "mask_of_segment",
    "mask_of_walls",
    "new_strokes",
    "nodes_of_segmentation",
    "open_standalone_scene",
    "placed",
    "read_clicks",
    "read_field",
    "read_marks",
    "read_strokes",
    "read_table",
    "read_walls",
    "recompute_segment",
    "render_overview",
    "require_click_lists",
    "require_together",
    "save_scene",
    "save_segmentation",
    "saved_scene",
    "segment_in_frame_of",
    "segment_on_source_grid",
    "segment_volume_ml",
    "set_threshold",
    "settings_of",
    "show_also_others",
    "show_attention",
    "show_centre_line",
    "show_ct",
    "show_only",
    "start_of",
    "state_of_segment",
    "state_of_walls",
    "tight_box",
    "volume_in_frame_of",
    "voxel_of",
    "world_position",
    "world_position_of_voxel",
    "walls_on_ct",
    "write_clicks",
    "write_corrected",
    "write_marks",
    "write_measured_in_parts",
    "write_strokes",
    "write_walls",
]

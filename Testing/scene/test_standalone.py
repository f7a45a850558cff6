"""A scene without Slicer: quiet, quick, and with what Slicer's own files would bring."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import AttentionUNetSegLib.scene
import numpy as np
import pytest
import slicer
from AttentionUNetSegLib.scene import open_standalone_scene
from AttentionUNetSegLib.scene.fields import INFERNO_NODE_ID, inferno_color_node, inferno_table
from vtkmodules.vtkCommonCore import vtkIdList

SOURCES = sorted(Path(AttentionUNetSegLib.scene.__file__).parent.glob("*.py"))


def test_the_application_sets_the_scene_of_the_slicer_package(scene):
    app, second = open_standalone_scene()
    assert slicer.mrmlScene is second
    assert app.scene is second
    assert second is not scene


def test_inferno_is_there_under_the_name_that_slicer_uses_and_outlives_clearing(scene):
    assert scene.GetNodeByID(INFERNO_NODE_ID).GetNumberOfColors() == 256
    scene.Clear(False)
    assert inferno_color_node(scene).GetID() == INFERNO_NODE_ID
    named = [
        node for node in slicer.util.getNodesByClass("vtkMRMLColorTableNode", scene) if node.GetName() == "Inferno"
    ]
    assert len(named) == 1


@pytest.mark.parametrize("is_cleared", [False, True])
def test_a_node_takes_its_item_of_the_hierarchy_along(scene, is_cleared, caplog):
    """As in desktop Slicer; the next node at the same address would be taken for the one that has gone."""
    for _ in range(2):
        nodes = filed_volumes(scene, 20)
        while nodes and not is_cleared:
            scene.RemoveNode(nodes.pop())
        del nodes
        if is_cleared:
            scene.Clear(False)
        assert items_of(scene) == 0
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def filed_volumes(scene, count: int) -> list:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    nodes = [scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode") for _ in range(count)]
    assert all(hierarchy.CreateItem(hierarchy.GetSceneItemID(), node) for node in nodes)
    return nodes


def items_of(scene) -> int:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    items = vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    return items.GetNumberOfIds()


def test_the_table_is_inferno():
    colormaps = pytest.importorskip("matplotlib").colormaps
    assert np.abs(inferno_table() - np.array(colormaps["inferno"].colors)).max() < 1.5 / 255


def test_nothing_is_written_to_stdout_or_stderr(tmp_path):
    """The command line's --json output shares stdout with whatever MRML has to say."""
    code = f"""
import numpy as np, SimpleITK as sitk
from AttentionUNetSegLib.imaging import Volume
from AttentionUNetSegLib.scene import add_volume, open_standalone_scene, render_overview, save_scene, import_result
from AttentionUNetSegLib.scene import RenderingUnavailable
app, scene = open_standalone_scene()
field = np.zeros((20, 24, 28), np.uint8)
field[8:12, 9:15, 10:18] = 255
sitk.WriteImage(sitk.GetImageFromArray(field), {str(tmp_path / "probability.nrrd")!r})
ct = add_volume(scene, Volume(sitk.Image([28, 24, 20], sitk.sitkInt16), "ct"))
nodes = import_result(scene, ct, {{"threshold": 0.5}}, {str(tmp_path)!r})
save_scene(scene, {str(tmp_path / "ct_scene.mrb")!r})
try:
    render_overview(nodes, {str(tmp_path / "out.png")!r})
except RenderingUnavailable:
    pass
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert (tmp_path / "ct_scene.mrb").is_file()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_uses_what_only_desktop_slicer_has(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "slicer":
            assert node.attr not in {"app", "modules"}, f"line {node.lineno}"


def test_importing_the_room_loads_neither_trame_nor_torch():
    code = "import sys, AttentionUNetSegLib.scene; print({'torch', 'trame_slicer', 'qt'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert run.stdout.strip() == "set()"

"""The network in the loop, in real scenes with a real worker: taken over, taken back, saved, loaded, overtaken."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.errors import BadInput, BadModel, Cancelled, InternalError, ProtocolError
from AttentionUNetSegLib.models import Catalogue
from AttentionUNetSegLib.scene import find_results, import_result, load_scene, save_scene
from AttentionUNetSegLib.scene.strokes import segment_on_ct
from AttentionUNetSegLib.scene.volumes import image_of_node
from AttentionUNetSegLib.session import (
    Progressed,
    Refined,
    RefinementFailed,
    ResultEditor,
    SegmentRequest,
    Session,
    StateChanged,
)
from AttentionUNetSegLib.worker.transport import SubprocessTransport
from scripted_worker import GREETING, script_command

SECONDS = 600
REACH_MM = 20.0


@pytest.fixture
def session(listener, job_folders):
    with Session(on_event=listener) as made:
        yield made


@pytest.fixture
def editor(session, volume_node) -> ResultEditor:
    result = session.wait(session.segment(volume_node, SegmentRequest(device="cpu")), SECONDS)
    editor = ResultEditor(result.nodes)
    editor.reach_mm = REACH_MM
    return editor


@pytest.fixture
def imported(scene, volume_node, phantom_model_package, tmp_path):
    """The nodes of a result that took no run of the network: half of a box in the middle of the CT."""
    ct = image_of_node(volume_node)
    start = [n // 2 - 5 for n in ct.GetSize()]
    box = sitk.Cast(ct[tuple(slice(n, n + 10) for n in start)], sitk.sitkUInt8) * 0
    box[:5, :, :] = 220
    sitk.WriteImage(box, str(tmp_path / "probability.nrrd"))
    package = phantom_model_package
    model = {"id": package.id, "name": package.name, "version": package.version, "sha256": package.weights_sha256}
    return import_result(scene, volume_node, {"threshold": 0.5, "model": model}, tmp_path)


def voxels(node) -> np.ndarray:
    return slicer.util.arrayFromVolume(node).copy()


def attention(editor) -> list[np.ndarray]:
    return [voxels(node) for node in editor.nodes.attention]


def mask(editor) -> np.ndarray:
    size = editor.nodes.volume.GetImageData().GetDimensions()[::-1]
    return segment_on_ct(editor.nodes).on(tuple(slice(0, n) for n in size)) != 0


def at(editor, ijk) -> tuple[float, float, float]:
    """World RAS of a voxel (IJK) of the probability."""
    from AttentionUNetSegLib.scene.geometry import ijk_to_ras_of_node

    return tuple((ijk_to_ras_of_node(editor.nodes.probability) @ [*ijk, 1.0])[:3])


def outside(editor) -> tuple[float, float, float]:
    """A place beside what the network found."""
    values = voxels(editor.nodes.probability)
    k, j, i = np.unravel_index(np.where((values > 20) & (values < 110), values, 0).argmax(), values.shape)
    return at(editor, (i, j, k))


def refine(session, editor) -> Refined:
    return session.wait(session.refine(editor, device="cpu"), SECONDS)


def left_over(job_folders) -> list:
    """Job folders; the application of the scene has a temporary one of its own."""
    return [path for path in job_folders() if path.name.startswith("attention-unet-seg-")]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_network_hears_of_a_click_and_undo_redo_and_files_know_it(session, editor, listener, tmp_path, job_folders):
    network, start, own = voxels(editor.nodes.probability), mask(editor), attention(editor)
    editor.add_click(outside(editor), positive=True)
    assert editor.refinement is None
    assert editor.refinement_is_due
    assert session.can_refine
    done = refine(session, editor)
    assert isinstance(done, Refined)
    assert done.applied
    assert done.nodes is editor.nodes
    assert listener.events[-1] is done
    assert any(isinstance(event, Progressed) and event.job == done.job for event in listener.events)
    assert not any(isinstance(event, StateChanged) and event.job == done.job for event in listener.events)
    assert left_over(job_folders) == []
    followed = attention(editor)
    assert not same(followed, own), "attention follows the click"
    np.testing.assert_array_equal(voxels(editor.nodes.probability), network, "the network's own is never changed")
    assert editor.refinement is not None
    assert not editor.refinement_is_due
    click = editor.clicks[0]
    for threshold in (0.05, 0.95):
        editor.set_threshold(threshold)
        assert holds(editor, click.position_ras_world), threshold
    editor.set_threshold(0.5)
    refined = mask(editor)

    assert editor.undo()
    np.testing.assert_array_equal(mask(editor), network_mask(editor, start.shape))
    assert same(attention(editor), own), "undo brings the network's own attention back"
    assert editor.nodes.refined is None
    assert editor.redo()
    np.testing.assert_array_equal(mask(editor), refined)
    assert same(attention(editor), followed)

    path = tmp_path / "scene.mrb"
    scene = editor.nodes.scene
    save_scene(scene, path)
    scene.Clear(False)
    load_scene(scene, path)
    loaded = ResultEditor(find_results(scene)[0])
    assert loaded.refinement is not None
    np.testing.assert_array_equal(mask(loaded), refined)
    assert same(attention(loaded), followed)
    second = loaded.add_click(at(loaded, (1, 1, 1)), positive=False)
    assert loaded.refinement is not None, "clicks that came later leave it"
    loaded.remove_click(second)
    np.testing.assert_array_equal(mask(loaded), refined)
    loaded.clear()
    assert same(attention(loaded), own), "also after loading the network's own attention is known"
    assert loaded.nodes.refined is None


def network_mask(editor, shape: tuple[int, ...]) -> np.ndarray:
    """What the network's own probability gives at a threshold of 0.5."""
    from AttentionUNetSegLib.scene import read_field

    field = read_field(editor.nodes.probability, editor.nodes.volume)
    return field.on(tuple(slice(0, n) for n in shape)) >= 128


def holds(editor, position) -> bool:
    from AttentionUNetSegLib.scene import placed, voxel_of
    from AttentionUNetSegLib.scene.clicks import PlacedClick

    return bool(mask(editor)[voxel_of(editor.nodes, PlacedClick(1, placed(editor.nodes, position), True))])


def test_clicks_that_changed_meanwhile_are_not_overridden(session, editor):
    own = attention(editor)
    editor.add_click(outside(editor), positive=True)
    job = session.refine(editor, device="cpu")
    editor.add_click(at(editor, (1, 1, 1)), positive=False)
    now = mask(editor)
    done = session.wait(job, SECONDS)
    assert not done.applied
    np.testing.assert_array_equal(mask(editor), now)
    assert same(attention(editor), own)


def test_the_newest_request_wins_and_a_segmentation_comes_first(session, editor, volume_node, listener):
    editor.add_click(outside(editor), positive=True)
    first = session.refine(editor, device="cpu")
    second = session.refine(editor, device="cpu")
    with pytest.raises(Cancelled):
        session.wait(first, SECONDS)
    job = session.segment(volume_node, SegmentRequest(device="cpu"))
    with pytest.raises(Cancelled):
        session.wait(second, SECONDS)
    assert session.wait(job, SECONDS)
    assert [event.job for event in listener.of(RefinementFailed)] == [first, second]
    assert editor.refinement is None


def test_what_cannot_be_refined_is_said_at_once(session, imported, listener):
    editor = ResultEditor(imported)
    with pytest.raises(BadInput, match="no click"):
        session.refine(editor)
    editor.add_click(at(editor, (4, 4, 4)), positive=False)
    editor.nodes.segmentation.SetAttribute("AttentionUNetSeg.model.id", Catalogue().get().id)
    editor.nodes.segmentation.SetAttribute("AttentionUNetSeg.model.sha256", "0" * 64)
    with pytest.raises(BadModel, match="is not the one that made this result"):
        session.refine(editor)
    editor.nodes.segmentation.SetAttribute("AttentionUNetSeg.model.id", "gone")
    with pytest.raises(BadModel):
        session.refine(editor)
    assert listener.of(RefinementFailed) == []


def test_a_closed_session_refines_nothing_and_takes_the_work_back(
    session, imported, listener, job_folders, phantom_model_package
):
    editor = ResultEditor(imported)
    editor.add_click(at(editor, (4, 4, 4)), positive=False)
    job = session.refine(editor, phantom_model_package, "cpu")
    session.close()
    assert [event.job for event in listener.of(RefinementFailed)] == [job]
    assert not session.can_refine
    assert left_over(job_folders) == []
    with pytest.raises(InternalError, match="closed"):
        session.refine(editor)


def test_a_worker_that_cannot_correct_says_so_and_the_result_stays(
    imported, listener, job_folders, phantom_model_package
):
    """The worker of a version that knew no refinement answers every correction like this."""
    answer = """
ready()
while True:
    request = hear()
    assert request["type"] == "correct", request
    text = "This worker cannot correct a result with clicks."
    say(type="error", job=request["job"], code="protocol", message=text, hint="Update AttentionUNetSeg.", detail="")
"""
    command = script_command(GREETING + answer)
    editor = ResultEditor(imported)
    editor.add_click(at(editor, (4, 4, 4)), positive=False)
    before = mask(editor)
    with Session(transport_factory=lambda: SubprocessTransport(command), on_event=listener) as session:
        for _ in range(2):
            job = session.refine(editor, phantom_model_package, "cpu")
            with pytest.raises(ProtocolError, match="cannot correct a result with clicks") as caught:
                session.wait(job, SECONDS)
            assert caught.value.hint == "Update AttentionUNetSeg."
            assert [event.job for event in listener.of(RefinementFailed)][-1] == job
            assert session.can_refine, "the worker lives: it said no, that is all"
    assert len(listener.of(RefinementFailed)) == 2
    assert editor.refinement is None
    np.testing.assert_array_equal(mask(editor), before)
    assert left_over(job_folders) == []


def test_no_worker_is_warm_before_the_first_run(job_folders):
    with Session(Catalogue()) as session:
        assert not session.can_refine

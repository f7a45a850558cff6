"""Correct jobs in real worker processes: after a segment job, alone, cancelled, killed, and with bad requests."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput, ErrorCode
from AttentionUNetSegLib.worker.job_folder import read_job, replay_job, write_job
from AttentionUNetSegLib.worker.protocol import Click, Correct, Error, Result, Segment

REACH_MM = 10.0


@pytest.fixture(scope="module")
def segmented(warm_client, new_job) -> tuple[Segment, Result]:
    request = new_job("segmented")
    warm_client.submit(request)
    result = warm_client.wait("segmented", 60)
    assert isinstance(result, Result), result
    return request, result


def correct_request(job: str, segmented: tuple[Segment, Result], clicks: tuple[Click, ...], **changes) -> Correct:
    request, result = segmented
    fields = {
        "folder": request.folder,
        "model": request.model,
        "probability": result.files.probability,
        "attention": result.files.attention,
        "device": "cpu",
        "reach_mm": REACH_MM,
        **changes,
    }
    return Correct(job, clicks=clicks, **fields)


def wrong_places(segmented: tuple[Segment, Result]) -> tuple[Click, Click]:
    """The place where the network is least sure of the organ, to be added, and where it is surest, to be removed."""
    request, result = segmented
    probability = sitk.ReadImage(str(Path(request.folder) / result.files.probability))
    values = sitk.GetArrayFromImage(probability)[2:-2, 2:-2, 2:-2]
    places = []
    for flat in (values.argmin(), values.argmax()):
        ijk = [int(n) + 2 for n in reversed(np.unravel_index(flat, values.shape))]
        places.append(probability.TransformIndexToPhysicalPoint(ijk))
    return Click(places[0], True), Click(places[1], False)


def fields_of(result: Result, folder: str) -> list[np.ndarray]:
    names = [result.files.probability, *result.files.attention]
    return [sitk.GetArrayFromImage(sitk.ReadImage(str(Path(folder) / name))) for name in names]


def test_a_correction_after_a_segmentation_gives_new_fields_and_leaves_the_old(warm_client, segmented):
    request, result = segmented
    before = fields_of(result, request.folder)
    add, remove = wrong_places(segmented)
    warm_client.submit(correct_request("both", segmented, (add, remove)))
    corrected = warm_client.wait("both", 60)
    assert isinstance(corrected, Result), corrected
    assert corrected.timings["load_model"] < 2.0, "the model was warm"
    assert corrected.model == result.model
    assert not set(corrected.files.attention) & set(result.files.attention)
    for old, again in zip(before, fields_of(result, request.folder), strict=True):
        np.testing.assert_array_equal(old, again)

    folder = Path(request.folder)
    probability = sitk.ReadImage(str(folder / corrected.files.probability))
    stored = sitk.ReadImage(str(folder / result.files.probability))
    assert probability.GetPixelID() == sitk.sitkUInt8
    same = sitk.Resample(stored, probability, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    change = sitk.GetArrayFromImage(probability).astype(int) - sitk.GetArrayFromImage(same)
    for click in (add, remove):
        k, j, i = reversed(probability.TransformPhysicalPointToIndex(click.position))
        assert change[k, j, i] * (1 if click.inside else -1) > 0, "it heard the click"
    distance = np.min([distances(probability, click.position) for click in (add, remove)], axis=0)
    assert not change[distance > 3 * REACH_MM].any(), "far away nothing changes, exactly"
    assert corrected.volume_ml["Pancreas"] != result.volume_ml["Pancreas"]
    assert [field.shape for field in fields_of(corrected, request.folder)[1:]] == [each.shape for each in before[1:]]

    progress = [event.fraction for event in warm_client.progress_of("both")]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_the_sequence_of_the_clicks_does_not_matter_nor_does_how_much_of_the_ct_is_there(
    warm_client, segmented, tmp_path
):
    clicks = wrong_places(segmented)
    outcomes = []
    for job, chosen in (("one way", clicks), ("other way", clicks[::-1])):
        warm_client.submit(correct_request(job, segmented, chosen))
        outcomes.append(fields_of(warm_client.wait(job, 60), segmented[0].folder))
    for one, other in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_correction_needs_no_segmentation_before_it(new_client, segmented):
    client = new_client()
    client.submit(correct_request("alone", segmented, wrong_places(segmented)[:1]))
    assert isinstance(client.wait("alone", 90), Result)


def test_clicks_outside_are_refused_by_name(warm_client, segmented):
    inside = wrong_places(segmented)[0]
    outside = Click((1000.0, -2000.0, 30.0), False)
    warm_client.submit(correct_request("outside", segmented, (inside, outside)))
    failure = warm_client.wait("outside", 60)
    assert isinstance(failure, Error)
    assert failure.code is ErrorCode.BAD_INPUT
    assert "Remove click at (-1000.0, 2000.0, 30.0) mm RAS lies outside the CT" in failure.message
    assert "Add" not in failure.message


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"clicks": ()}, ErrorCode.BAD_INPUT, "no click"),
        ({"input": "gone.nrrd"}, ErrorCode.BAD_INPUT, "no file gone.nrrd"),
        ({"folder": "/nowhere/at/all"}, ErrorCode.BAD_INPUT, "no job folder"),
        ({"model": ""}, ErrorCode.BAD_MODEL, "name the model"),
        ({"model": "/nowhere"}, ErrorCode.BAD_MODEL, "nowhere"),
        ({"device": "cuda:99"}, ErrorCode.UNAVAILABLE_DEVICE, "cuda:99"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_worker_goes_on(warm_client, segmented, changes, code, words):
    request = correct_request("bad", segmented, wrong_places(segmented))
    warm_client.submit(dataclasses.replace(request, **changes))
    failure = warm_client.wait("bad", 60)
    assert isinstance(failure, Error)
    assert failure.code is code
    assert words in failure.message
    assert warm_client.ready


def test_a_cancelled_correction_ends_at_once_and_leaves_no_files(warm_client, new_job, slow_model_package):
    request = new_job("large", slow_model_package.folder, (128, 112, 96))
    folder = Path(request.folder)
    ct = sitk.ReadImage(str(folder / "input.nrrd"))
    sitk.WriteImage(sitk.Cast(ct > 0, sitk.sitkUInt8) * 200, str(folder / "probability.nrrd"))
    place = ct.TransformIndexToPhysicalPoint((64, 56, 48))
    slow = Correct("slow", request.folder, (Click(place, False),), model=request.model, device="cpu", reach_mm=25.0)
    warm_client.submit(slow)
    warm_client.pump_until(lambda: any(each.stage == "Refining" for each in warm_client.progress_of("slow")))
    started, computed = time.monotonic(), warm_client.cpu_seconds()
    warm_client.cancel("slow")
    failure = warm_client.wait("slow", 60)
    computed = warm_client.cpu_seconds() - computed
    print(f"cancelled after {time.monotonic() - started:.2f} s, in which the worker computed {computed:.2f} s")
    assert failure.code is ErrorCode.CANCELLED
    assert computed < 4.0, "0.5 s on every core of a usual computer; a clock would measure what else the machine does"
    assert set(os.listdir(folder)) == {"input.nrrd", "probability.nrrd"}
    assert warm_client.ready, "the worker was not killed for it"


def test_a_worker_that_dies_fails_the_correction_not_the_next(new_client, segmented, new_job, slow_model_package):
    client = new_client()
    request = new_job("large", slow_model_package.folder, (128, 112, 96))
    folder = Path(request.folder)
    ct = sitk.ReadImage(str(folder / "input.nrrd"))
    sitk.WriteImage(sitk.Cast(ct > 0, sitk.sitkUInt8) * 200, str(folder / "probability.nrrd"))
    place = ct.TransformIndexToPhysicalPoint((64, 56, 48))
    client.submit(Correct("slow", request.folder, (Click(place, False),), model=request.model, device="cpu"))
    client.pump_until(lambda: any(each.stage == "Refining" for each in client.progress_of("slow")))
    os.kill(client.ready.pid, signal.SIGKILL)
    failure = client.wait("slow", 60)
    assert failure.code is ErrorCode.INTERNAL
    assert "ended unexpectedly" in failure.message
    client.submit(correct_request("next", segmented, wrong_places(segmented)[:1]))
    assert isinstance(client.wait("next", 90), Result)


def test_a_correction_can_be_replayed_from_its_folder(warm_client, segmented, tmp_path):
    request = correct_request("again", segmented, wrong_places(segmented))
    warm_client.submit(request)
    first = fields_of(warm_client.wait("again", 60), request.folder)
    write_job(request.folder, request)
    assert read_job(request.folder) == request
    second = replay_job(request.folder, tmp_path / "replayed", warm_client)
    for one, other in zip(first, fields_of(second, second.folder), strict=True):
        np.testing.assert_array_equal(one, other)
    (Path(request.folder) / "job.json").unlink()
    (tmp_path / "replayed" / request.attention[0]).unlink()
    with pytest.raises(BadInput, match=f"lacks its input {request.attention[0]}"):
        replay_job(tmp_path / "replayed", tmp_path / "third", warm_client)


def distances(image: sitk.Image, position: tuple[float, float, float]) -> np.ndarray:
    place = image.TransformPhysicalPointToContinuousIndex(position)
    axes = [((np.arange(n) - p) * s) ** 2 for n, p, s in zip(image.GetSize(), place, image.GetSpacing(), strict=True)]
    return np.sqrt(axes[2][:, None, None] + axes[1][None, :, None] + axes[0][None, None, :])

"""Every problem that is looked for, provoked; and none where there is none."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.training.datasets import label_problems, open_datasets
from AttentionUNetSegLib.training.labelled_scan import LabelledScan, LoadedScan


def problems(writer, image="ct.nii.gz", label="label.nii.gz", **columns):
    table = writer.table([{"image": image, "label": label, "name": "case"} | columns])
    found = label_problems(open_datasets([f"table:{table}"]))
    assert all(problem.scan == f"{writer.folder.name}/case" for problem in found)
    assert all(str(problem).startswith(f"{problem.scan}: ") for problem in found)
    assert all(str(problem).count(problem.scan) == 1 for problem in found)
    return found


@pytest.fixture
def ct(writer):
    return writer.ct("ct.nii.gz")


def test_a_good_case_has_no_problem(writer, ct):
    writer.label("label.nii.gz", writer.labels(pancreas=1))
    assert problems(writer) == []


def _only(found):
    (problem,) = found
    return str(problem), problem.prevents_training


@pytest.mark.parametrize(
    ("origin", "spacing", "refused"),
    [
        ((-70.0 + 5e-4, 20.0, -300.0), (3.0, 3.0, 4.0), False),  # rounding
        ((-70.0, 20.0, -300.0), (3.0, 3.0 + 1e-5, 4.0), False),
        ((-70.0 + 5e-3, 20.0, -300.0), (3.0, 3.0, 4.0), True),
        ((-70.0, 20.0, -300.0), (3.0, 3.0 + 1e-3, 4.0), True),  # 0.04 mm at the far end
        ((-70.0, 20.0, -296.0), (3.0, 3.0, 4.0), True),
    ],
)
def test_a_label_has_to_lie_on_its_ct(writer, ct, origin, spacing, refused):
    writer.label("label.nrrd", writer.labels(pancreas=1), origin=origin, spacing=spacing)
    found = problems(writer, label="label.nrrd")
    assert [problem.prevents_training for problem in found] == [True] * refused
    assert not refused or "mm away from its CT (their affines differ)" in str(found[0])


def test_a_label_that_lies_alike_takes_exactly_the_geometry_of_the_ct(writer, ct):
    writer.label("label.nrrd", writer.labels(pancreas=1), origin=(-70.0, 20.0004, -300.0))
    (scan,) = open_datasets([f"table:{writer.table([{'image': 'ct.nii.gz', 'label': 'label.nrrd'}])}"])
    loaded = scan.load()
    assert loaded.structures["pancreas"].GetOrigin() == loaded.ct.GetOrigin()


def test_a_label_whose_axes_run_the_other_way_is_found(writer, ct):
    # The very voxels of the CT, covered by a label that numbers them from the other end: resample, do not guess.
    far = (-70.0 + 47 * 3, 20.0 + 39 * 3, -300.0)
    writer.label("label.nii.gz", writer.labels(pancreas=1)[:, ::-1, ::-1], writer.ras, origin=far)
    text, fatal = _only(problems(writer))
    assert fatal and "their affines differ" in text


def test_another_shape(writer, ct):
    writer.label("label.nii.gz", writer.labels(pancreas=1)[1:])
    text, fatal = _only(problems(writer))
    assert fatal and "label.nii.gz has 48 x 40 x 15 voxels and its CT 48 x 40 x 16" in text


def test_an_ignore_mask_has_to_lie_on_the_ct_too(writer, ct):
    writer.label("label.nii.gz", writer.labels(pancreas=1))
    writer.label("ignore.nii.gz", writer.labels(liver=1)[1:])
    text, fatal = _only(problems(writer, ignore="ignore.nii.gz"))
    assert fatal and "ignore.nii.gz has 48 x 40 x 15 voxels" in text


def test_unreadable_files(writer, ct):
    writer.label("label.nii.gz", writer.labels(pancreas=1))
    whole = ct.read_bytes()
    ct.write_bytes(whole[: len(whole) // 2])
    text, fatal = _only(problems(writer))
    assert fatal and "ct.nii.gz" in text
    ct.write_bytes(whole)
    (writer.folder / "label.nii.gz").write_bytes(b"not an image")
    text, fatal = _only(problems(writer))
    assert fatal and "label.nii.gz" in text


def test_an_image_that_is_no_ct(writer):
    writer.label("ct.nii.gz", writer.labels(pancreas=1) * np.float32(0.7))
    writer.label("label.nii.gz", writer.labels(pancreas=1))
    text, fatal = _only(problems(writer))
    assert fatal and "not in Hounsfield units" in text


def test_a_file_that_vanished_after_the_data_set_was_opened(writer, ct):
    label = writer.label("label.nii.gz", writer.labels(pancreas=1))
    scans = open_datasets([f"table:{writer.table([{'image': 'ct.nii.gz', 'label': 'label.nii.gz'}])}"])
    label.unlink()
    text, fatal = _only(label_problems(scans))
    assert fatal and f"There is no file {label}" in text


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (lambda labels: labels(pancreas=1, liver=7), "holds the value 7, which nothing explains (known are 0, 1)"),
        (lambda labels: labels(pancreas=1).astype(np.int16) - 1, "values from -1 to 0, so it is no label map"),
        (lambda labels: labels(pancreas=1) * np.float32(0.9), "holds fractions, so it is no label map"),
        (lambda labels: labels(pancreas=1) * np.float32(np.nan), "values from nan to nan, so it is no label map"),
        (lambda labels: labels(pancreas=1) * np.int32(70000), "values from 0 to 70000, so it is no label map"),
    ],
)
def test_values_that_nothing_explains(writer, ct, array, sentence):
    # NRRD, because ITK's NIfTI reader makes 0 of NaN.
    writer.label("label.nrrd", array(writer.labels))
    text, fatal = _only(problems(writer, label="label.nrrd"))
    assert fatal and sentence in text


def test_whole_numbers_may_be_stored_as_floats(writer, ct):
    writer.label("label.nii.gz", writer.labels(pancreas=1).astype(np.float64))
    assert problems(writer) == []


def test_an_empty_pancreas_is_a_doubt(writer, ct):
    writer.label("label.nii.gz", writer.labels())
    assert _only(problems(writer)) == (f"{writer.folder.name}/case: Its pancreas label is empty.", False)


def test_an_implausible_volume_is_a_doubt_unless_the_label_is_partial(writer, ct):
    small = writer.labels(pancreas=1)
    small[:6] = 0
    small[8:] = 0  # 9.2 mL
    writer.label("label.nii.gz", small)
    text, fatal = _only(problems(writer))
    assert not fatal and "9.2 mL, outside 10 to 250 mL" in text
    writer.label("ignore.nii.gz", writer.labels(liver=1))
    assert problems(writer, ignore="ignore.nii.gz") == []
    large = np.ones_like(small)
    writer.label("label.nii.gz", large)
    text, fatal = _only(problems(writer))
    assert not fatal and "1105.9 mL" in text


def test_a_case_without_annotated_pancreas_is_not_asked_for_its_volume(writer, ct):
    writer.label("label.nii.gz", writer.labels(spleen=1))
    assert problems(writer, structures="spleen=1") == []


def _scan(name, load):
    return LabelledScan(name, name, load)


def test_the_order_is_that_of_the_scans_and_progress_counts_to_the_end(writer):
    def refuse():
        raise BadInput("No.")

    ct = writer.image_of(writer.hounsfield())
    good = LoadedScan(ct, {"pancreas": writer.image_of(writer.labels(pancreas=1))})
    scans = [_scan(f"s{i}", refuse if i % 3 == 0 else lambda: good) for i in range(30)]
    seen = []
    found = label_problems(scans, lambda done, total: seen.append((done, total, threading.current_thread())))
    assert [problem.scan for problem in found] == [f"s{i}" for i in range(0, 30, 3)]
    assert seen == [(i, 30, threading.main_thread()) for i in range(1, 31)]
    assert label_problems([]) == []


def test_few_scans_are_in_memory_at_a_time(writer):
    held, most, lock = set(), [0], threading.Lock()
    mask = writer.image_of(writer.labels(pancreas=1))

    class Held(LoadedScan):
        def __del__(self):
            with lock:
                held.discard(id(self))

    def load():
        loaded = Held(mask, {"pancreas": sitk.Image(mask)})
        with lock:
            held.add(id(loaded))
            most[0] = max(most[0], len(held))
        return loaded

    assert label_problems([_scan(str(i), load) for i in range(60)]) == []
    assert 1 <= most[0] <= 4 and not held


def test_an_interruption_does_not_wait_for_all_scans(writer):
    loaded = []

    def load():
        loaded.append(1)
        time.sleep(0.005)
        raise BadInput("No.")

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label_problems([_scan(str(i), load) for i in range(1000)], interrupt)
    assert len(loaded) < 1000

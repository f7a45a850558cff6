"""The report of measurements: read back by dcmqi, validated by dciodvfy, and tied to its SEG and its series."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pydicom
import pytest
from AttentionUNetSegLib.dicom_out import coded_measurements, write_dicom_seg, write_measurement_report
from dicom_judges import dcmqi, errors_by_dciodvfy
from known_segment import probability_on
from pydicom.sr.codedict import codes

highdicom = pytest.importorskip("highdicom", reason="DICOM objects need the extra dicom")


class Quantity:
    """As `measure` gives them."""

    def __init__(self, key, value, unit, low=None, high=None) -> None:
        self.key, self.name, self.value, self.unit = key, f"Name of {key}", value, unit
        self.low, self.high = low, high


QUANTITIES = [
    Quantity("volume", 81.25, "mL", 70.0, 90.5),
    Quantity("hu_p25", 61.5, "[hnsf'U]"),
    Quantity("head_volume", 30.0, "mL", 30.0, 31.0),
    Quantity("tail_thickness", 17.5, "mm"),
    Quantity("sphericity", 0.31, "1"),
    Quantity("something_of_tomorrow", 2.0, "%"),
    Quantity("fat", None, "%"),
]


@pytest.fixture
def objects(series, model, tmp_path) -> tuple[Path, Path]:
    """A SEG and the report of its measurements."""
    ct = series()
    seg, report = tmp_path / "seg.dcm", tmp_path / "report.dcm"
    write_dicom_seg(seg, probability_on(ct.image) >= 128, ct.dicom_files, model)
    write_measurement_report(report, coded_measurements(QUANTITIES), seg, ct.dicom_files, model)
    return seg, report


def test_dcmqi_reads_what_was_measured(objects, tmp_path):
    seg, report = objects
    told = tmp_path / "report.json"
    command = [dcmqi("tid1500reader"), "--inputDICOM", report, "--outputMetadata", told]
    run = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    (group,) = json.loads(told.read_text())["Measurements"]
    assert group["segmentationSOPInstanceUID"] == pydicom.dcmread(seg).SOPInstanceUID
    assert group["ReferencedSegment"] == 1
    assert group["Finding"]["CodeValue"] == group["FindingSite"]["CodeValue"] == codes.SCT.Pancreas.value
    assert group["measurementAlgorithmIdentification"]["AlgorithmVersion"] == "1.2.3"
    found = [
        (item["quantity"]["CodeMeaning"], float(item["value"]), item["units"]["CodeValue"])
        for item in group["measurementItems"]
    ]
    assert found == [
        ("Volume", 81.25, "mL"),
        ("Attenuation Coefficient", 61.5, "[hnsf'U]"),
        ("Volume", 30.0, "mL"),
        ("Thickness across the centre line", 17.5, "mm"),
        ("Sphericity", 0.31, "1"),
        ("Name of something_of_tomorrow", 2.0, "%"),
    ], "what could not be measured is left out"
    volume, quartile = group["measurementItems"][:2]
    ranges = [
        (each["numPropertyValue"], each["numPropertyUnits"]["CodeValue"]) for each in volume["measurementNumProperties"]
    ]
    assert ranges == [("9.25", "mL"), ("11.25", "mL")], "up to 90.5 and down to 70"
    assert quartile["derivationModifier"]["CodeMeaning"] == "25th percentile"


def test_dciodvfy_finds_no_error(objects):
    assert errors_by_dciodvfy(objects[1]) == []


def test_it_belongs_to_the_study_and_names_the_part_that_was_measured(objects):
    seg, report = map(pydicom.dcmread, objects)
    assert report.StudyInstanceUID == seg.StudyInstanceUID and report.PatientID == seg.PatientID
    assert report.SeriesInstanceUID != seg.SeriesInstanceUID
    (group,) = highdicom.sr.srread(objects[1]).content.get_volumetric_roi_measurement_groups()
    assert group.tracking_uid == seg.SegmentSequence[0].TrackingUID
    sites = [[site.value.meaning for site in each.finding_sites] for each in group.get_measurements()]
    assert sites == [[], [], ["Head of pancreas"], ["Tail of pancreas"], [], []]

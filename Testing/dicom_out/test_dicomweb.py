"""To and from a PACS: a real Orthanc behind TLS that wants a password."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.dicom_out import DicomwebSource, check_server, fetch_series, store, write_dicom_seg
from AttentionUNetSegLib.dicom_out.dicomweb_session import open_session
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import read_volume
from known_segment import probability_on
from orthanc import PASSWORD, USER

pytest.importorskip("dicomweb_client", reason="DICOMweb needs the extra dicom")
STUDY = "1.2.826.0.1.3680043.8.498.1"  # of Testing/dicom_slice.py


@pytest.fixture(autouse=True)
def nobody_is_known(monkeypatch, tmp_path):
    """Neither the person who runs the tests nor their netrc file."""
    for name in ("TOKEN", "USER", "PASSWORD"):
        monkeypatch.delenv(f"ATTENTIONUNETSEG_DICOMWEB_{name}", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").touch()
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)


def test_a_series_comes_back_as_it_was_stored_and_so_does_its_seg(allowed_in, series, model, tmp_path):
    ct = series(orientation=(0.8, 0.6, 0, 0, 0, -1), shuffled=True, name="there")
    uid = pydicom.dcmread(ct.dicom_files[0]).SeriesInstanceUID
    store(allowed_in.url, ct.dicom_files)
    (tmp_path / "back").mkdir()
    shown = []
    source = DicomwebSource.parse(f"dicomweb:{allowed_in.url}?study={STUDY}&series={uid}")
    assert fetch_series(source, tmp_path / "back", lambda *progress: shown.append(progress)) == source
    assert shown == [(n, 10) for n in range(11)]
    back = read_volume(tmp_path / "back")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back.image), sitk.GetArrayFromImage(ct.image))
    assert back.image.GetOrigin() == ct.image.GetOrigin() and back.image.GetDirection() == ct.image.GetDirection()

    seg = tmp_path / "seg.dcm"
    write_dicom_seg(seg, probability_on(back.image), back.dicom_files, model, fractional=True)
    store(allowed_in.url, [seg])
    (tmp_path / "seg").mkdir()
    written = pydicom.dcmread(seg)
    fetch_series(DicomwebSource(allowed_in.url, STUDY, written.SeriesInstanceUID), tmp_path / "seg")
    (file,) = (tmp_path / "seg").iterdir()
    np.testing.assert_array_equal(pydicom.dcmread(file).pixel_array, written.pixel_array)


def test_the_one_ct_series_of_a_study_need_not_be_named(allowed_in, series, tmp_path):
    study = pydicom.uid.generate_uid()
    ct = series(StudyInstanceUID=study, name="first")
    store(allowed_in.url, ct.dicom_files)
    (tmp_path / "back").mkdir()
    found = fetch_series(DicomwebSource(allowed_in.url, study), tmp_path / "back")
    assert found.series == pydicom.dcmread(ct.dicom_files[0]).SeriesInstanceUID
    store(allowed_in.url, series(StudyInstanceUID=study, SeriesDescription="Late", name="second").dicom_files)
    (tmp_path / "again").mkdir()
    with pytest.raises(BadInput, match=r'2 CT series: .*"Late"'):
        fetch_series(DicomwebSource(allowed_in.url, study), tmp_path / "again")


def test_nobody_gets_in_without_credentials_and_a_netrc_file_will_do(orthanc, monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(orthanc.certificate))
    with pytest.raises(BadInput, match="does not let us in") as refused:
        check_server(orthanc.url)
    assert "netrc" in refused.value.hint
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    netrc.chmod(0o600)
    check_server(orthanc.url)
    monkeypatch.setenv("ATTENTIONUNETSEG_DICOMWEB_USER", USER)
    monkeypatch.setenv("ATTENTIONUNETSEG_DICOMWEB_PASSWORD", "wrong")
    with pytest.raises(BadInput, match="does not let us in") as refused:
        check_server(orthanc.url)
    assert "wrong" not in str(refused.value)


def test_a_certificate_that_nobody_vouches_for_ends_it(orthanc, monkeypatch):
    monkeypatch.setenv("ATTENTIONUNETSEG_DICOMWEB_USER", USER)
    monkeypatch.setenv("ATTENTIONUNETSEG_DICOMWEB_PASSWORD", PASSWORD)
    with pytest.raises(BadInput, match=r"certificate of 127.0.0.1 cannot be verified.*self.signed") as refused:
        check_server(orthanc.url)
    assert "REQUESTS_CA_BUNDLE" in refused.value.hint


def test_what_is_not_there_is_said_in_a_sentence(allowed_in, tmp_path):
    with pytest.raises(BadInput, match="has no series 1.2.3 in study 1.2"):
        fetch_series(DicomwebSource(allowed_in.url, "1.2", "1.2.3"), tmp_path)
    with pytest.raises(BadInput, match="HTTP 404"):
        check_server(allowed_in.url + "-of-another-name")
    with pytest.raises(BadInput, match="cannot be reached"):
        check_server("http://127.0.0.1:9")


def test_what_is_no_dicom_is_not_stored(allowed_in, series, tmp_path):
    ct = series(name="there", PatientID=None, StudyInstanceUID=None)  # a PACS cannot file it
    with pytest.raises(BadInput, match="127.0.0.1 "):
        store(allowed_in.url, ct.dicom_files[:1])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("dicomweb:https://me:pw@pacs/dicom-web?study=1.2", "holds a user name or password"),
        ("dicomweb:ftp://pacs?study=1.2", "no address"),
        ("dicomweb:https://pacs/dicom-web", "which series"),
        ("dicomweb:https://pacs/dicom-web?series=1.2", "which series"),
        ("dicomweb:https://pacs/dicom-web?study=1.2&token=abc", "which series"),
        ("dicomweb:https://pacs/dicom-web?study=1.2/../x", "no DICOM UID"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(text, sentence):
    with pytest.raises(BadInput, match=sentence) as refused:
        DicomwebSource.parse(text)
    assert "pw@" not in str(refused.value) and "abc" not in str(refused.value)


def test_credentials_never_travel_in_the_clear(monkeypatch):
    monkeypatch.setenv("ATTENTIONUNETSEG_DICOMWEB_TOKEN", "abc")
    with pytest.raises(BadInput, match="unencrypted"):
        open_session("http://pacs.hospital.example/dicom-web")
    for url in ("http://127.0.0.1/dicom-web", "http://localhost:1/x", "https://pacs.hospital.example/dicom-web"):
        assert open_session(url).verify is True

"""CT series from a PACS, and results to one, by DICOMweb (DICOM PS3.18: QIDO-RS, WADO-RS, STOW-RS).

Credentials come from the environment or from a netrc file, never from an address or an argument. Certificates are
always verified.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs, urlsplit

import pydicom

from ..errors import BadInput
from .dicomweb_session import open_session
from .libraries import require_libraries

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

PREFIX = "dicomweb:"
_SECONDS_TO_CONNECT, _SECONDS_BETWEEN_BYTES = 15, 120
_AS_STORED = (("application/dicom", "*"),)  # no server has to decompress for us
_UID = r"[0-9]+(\.[0-9]+)*"


@dataclass(frozen=True)
class DicomwebSource:
    """A series in a PACS, as written `dicomweb:URL?study=UID&series=UID`.

    Attributes
    ----------
    url : of the DICOMweb service, without a query.
    study : Study Instance UID.
    series : Series Instance UID; "" for the one CT series of the study.
    """

    url: str
    study: str
    series: str = ""

    @classmethod
    def parse(cls, text: str) -> DicomwebSource:
        """Read the written form.

        Raises
        ------
        BadInput : it has another form, or holds a password.
        """
        url, _, query = text.removeprefix(PREFIX).partition("?")
        check_url(url)
        asked = parse_qs(query, keep_blank_values=True)
        uids = {key: values[0] for key, values in asked.items() if len(values) == 1}
        if not {"study"} <= set(asked) <= {"study", "series"} or len(uids) < len(asked):
            raise BadInput(
                f"{PREFIX}{url} does not say which series is meant.", f"Write {PREFIX}{url}?study=UID&series=UID."
            )
        for key, uid in uids.items():
            if not re.fullmatch(_UID, uid) or len(uid) > 64:
                raise BadInput(f"The {key} in {PREFIX}{url} is no DICOM UID: {uid!r}.")
        return cls(url, uids["study"], uids.get("series", ""))

    def __str__(self) -> str:
        return f"{PREFIX}{self.url}?study={self.study}" + (f"&series={self.series}" if self.series else "")


def check_url(url: str) -> None:
    """Refuse what is no address of a DICOMweb service, or holds a password; raises BadInput."""
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise BadInput(
            f"The address of {parts.hostname} holds a user name or password, which others could read there.",
            "Put them into the environment or a netrc file: see README.",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise BadInput(f"{url!r} is no address of a DICOMweb service.", "Write for example https://pacs/dicom-web.")


def check_server(url: str) -> None:
    """Ask a server for one study, to learn before any work whether it answers and lets us in.

    Raises
    ------
    BadInput : it does not, with the reason.
    """
    with _sentences(url):
        _client(url).search_for_studies(limit=1)


def fetch_series(
    source: DicomwebSource, folder: Path, show: Callable[[int, int], None] = lambda done, of: None
) -> DicomwebSource:
    """Fetch a series into a folder, one file an instance, and return which one it was.

    Parameters
    ----------
    source : the series, or a study with one CT series.
    folder : an existing empty folder.
    show : called with the number of instances that have arrived, and how many there are (0: the server does not say).

    Raises
    ------
    BadInput : the server cannot be reached or refuses, has no such series, or sends only a part of it.
    """
    with _sentences(source.url):
        client = _client(source.url)
        uid, expected = _wanted(client, source)
        show(0, expected)
        arrived = 0
        for instance in client.iter_series(source.study, uid, media_types=_AS_STORED):
            instance.save_as(folder / f"{arrived:05d}.dcm")
            arrived += 1
            show(arrived, max(expected, arrived))
    if arrived < max(expected, 1):
        raise BadInput(
            f"{urlsplit(source.url).hostname} sent {arrived} of the {max(expected, 1)} instances of series {uid}.",
            "Try again.",
        )
    return DicomwebSource(source.url, source.study, uid)


def store(url: str, files: Sequence[Path]) -> None:
    """Send DICOM files to a PACS.

    Raises
    ------
    BadInput : the server cannot be reached, or refuses one of them, with the reason.
    """
    names: dict[str, str] = {}  # of the files, by the UIDs of what they hold

    def read() -> Iterator[pydicom.Dataset]:
        for file in files:
            instance = pydicom.dcmread(file)
            names[str(instance.SOPInstanceUID)] = file.name
            yield instance

    with _sentences(url):
        answer = _client(url).store_instances(cast("Sequence[pydicom.Dataset]", read()))  # one at a time in memory
    stored = {str(item.ReferencedSOPInstanceUID) for item in answer.get("ReferencedSOPSequence") or []}
    reasons = {
        str(item.get("ReferencedSOPInstanceUID")): f" (reason {int(item.get('FailureReason') or 0):#06x})"
        for item in answer.get("FailedSOPSequence") or []
    }
    for uid, name in names.items():
        if uid not in stored:
            raise BadInput(f"{urlsplit(url).hostname} did not store {name}{reasons.get(uid, '')}.")


def _client(url: str) -> DICOMwebClient:
    require_libraries()
    check_url(url)
    from dicomweb_client import DICOMwebClient

    client = DICOMwebClient(
        url.rstrip("/"), session=open_session(url), timeout=(_SECONDS_TO_CONNECT, _SECONDS_BETWEEN_BYTES)
    )
    client.set_http_retry_params(retry=False)
    return client


def _wanted(client: DICOMwebClient, source: DicomwebSource) -> tuple[str, int]:
    """Return the UID of the series that is meant, and its number of instances (0 where the server does not say)."""
    filters = {"SeriesInstanceUID": source.series} if source.series else {"Modality": "CT"}
    found = [
        pydicom.Dataset.from_json(item)
        for item in client.search_for_series(
            source.study, search_filters=filters, fields=["NumberOfSeriesRelatedInstances", "SeriesDescription"]
        )
    ]
    host = urlsplit(source.url).hostname
    if not found:
        what = f"series {source.series}" if source.series else "CT series"
        raise BadInput(f"{host} has no {what} in study {source.study}.")
    if len(found) > 1:
        listed = "; ".join(f'{item.SeriesInstanceUID} "{item.get("SeriesDescription", "")}"' for item in found)
        raise BadInput(f"Study {source.study} has {len(found)} CT series: {listed}.", "Choose one with &series=UID.")
    return str(found[0].SeriesInstanceUID), int(found[0].get("NumberOfSeriesRelatedInstances") or 0)


@contextmanager
def _sentences(url: str) -> Iterator[None]:
    """Turn what goes wrong on the way to a server into a BadInput with one sentence."""
    require_libraries()
    import requests

    host = urlsplit(url).hostname
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise BadInput(
            f"The certificate of {host} cannot be verified, so nothing was sent to it ({_reason(error)}).",
            "If it comes from an authority of your own, name its file in the environment: REQUESTS_CA_BUNDLE=ca.pem.",
        ) from error
    except requests.exceptions.Timeout as error:
        raise BadInput(f"{host} does not answer.", "Check the address, or try again later.") from error
    except requests.exceptions.HTTPError as error:
        status, reason = (0, "") if error.response is None else (error.response.status_code, error.response.reason)
        if status in (401, 403):
            raise BadInput(
                f"{host} does not let us in (HTTP {status}).",
                "Put the credentials into the environment or a netrc file: see README.",
            ) from error
        raise BadInput(
            f"{host} answered HTTP {status} ({reason}) instead of doing what was asked.",
            "Check the address of the DICOMweb service, the study and the series.",
        ) from error
    except requests.exceptions.RequestException as error:
        raise BadInput(f"{host} cannot be reached ({_reason(error)}).", "Check the address.") from error
    except (ValueError, KeyError, AttributeError, pydicom.errors.InvalidDicomError) as error:
        raise BadInput(
            f"{host} answered something that is no DICOMweb ({type(error).__name__}).", "Check the address."
        ) from error


def _reason(error: Exception) -> str:
    """Return the innermost reason, without the address: that may have come with a query."""
    while isinstance(getattr(error, "reason", None) or next(iter(error.args), None), Exception):
        error = getattr(error, "reason", None) or error.args[0]
    return " ".join(str(error).split()).split(": ", 1)[-1].rstrip(".")[:200]

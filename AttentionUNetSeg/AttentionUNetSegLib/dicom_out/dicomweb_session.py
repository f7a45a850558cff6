"""The session with a DICOMweb server: who we are, and that the server is who it says."""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import BadInput

if TYPE_CHECKING:
    import requests

TOKEN = "ATTENTIONUNETSEG_DICOMWEB_TOKEN"
USER, PASSWORD = "ATTENTIONUNETSEG_DICOMWEB_USER", "ATTENTIONUNETSEG_DICOMWEB_PASSWORD"


def open_session(url: str) -> requests.Session:
    """Return a session for a server: with a bearer token or a user's password from the environment, else from netrc.

    The netrc file is the one that NETRC names, or ~/.netrc. Certificates are verified, against REQUESTS_CA_BUNDLE where
    that is set.

    Raises
    ------
    BadInput : credentials would go over the net unencrypted.
    """
    import requests

    session = requests.Session()
    session.verify = True
    token, user = os.environ.get(TOKEN), os.environ.get(USER)
    if token:
        session.auth = _bearer(token)
    elif user:
        session.auth = (user, os.environ.get(PASSWORD, ""))
    elif login := requests.utils.get_netrc_auth(url):
        session.auth = login
    if session.auth and urlsplit(url).scheme != "https" and not _is_this_machine(urlsplit(url).hostname or ""):
        raise BadInput(
            f"The credentials for {urlsplit(url).hostname} would be sent unencrypted over http.", "Use https."
        )
    return session


def _bearer(token: str) -> requests.auth.AuthBase:
    import requests

    class Bearer(requests.auth.AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {token}"
            return request

    return Bearer()


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False

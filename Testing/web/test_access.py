"""Who may come in, and who is turned away."""

from __future__ import annotations

import http.client
import json
import stat
from urllib.parse import urlsplit

import pytest
from AttentionUNetSegLib.cli import main
from AttentionUNetSegLib.cli.serve import write_redirection
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.web import check_host_and_token


@pytest.fixture(scope="module")
def cookie(server) -> str:
    status, headers, _ = ask(server, "GET", f"/?token={server.token}")
    assert status == 200
    return headers["Set-Cookie"].split(";")[0]


def ask(server, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict, bytes]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/index.html"),
        ("GET", "/page/page.js"),
        ("GET", "/download/scene"),
        ("POST", "/upload?name=ct.nrrd"),
        ("POST", "/paraview/"),
        ("GET", "/?token=wrong"),
        ("GET", "/?token="),
        ("GET", "/ws"),
    ],
)
def test_nothing_is_served_without_the_token(server, method, path):
    status, headers, body = ask(server, method, path, Origin=server.origin)
    assert status == 403
    assert "Set-Cookie" not in headers
    assert server.token.encode() not in body


def test_the_websocket_is_closed_to_those_without_the_token(server, cookie):
    assert ask(server, "GET", "/ws", Origin=server.origin, **WEBSOCKET)[0] == 403
    assert ask(server, "GET", "/ws", Origin=server.origin, Cookie=cookie[:-2] + "xx", **WEBSOCKET)[0] == 403
    assert ask(server, "GET", "/ws?token=wrong", Origin=server.origin, Cookie=cookie, **WEBSOCKET)[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null", "https"])
def test_other_pages_of_the_same_browser_are_turned_away(server, cookie, origin):
    if origin == "https":
        origin = server.origin.replace("http:", "https:")
    assert ask(server, "GET", "/ws", Origin=origin, Cookie=cookie, **WEBSOCKET)[0] == 403
    assert ask(server, "POST", "/upload?name=ct.nrrd", b"x", Origin=origin, Cookie=cookie)[0] == 403
    assert ask(server, "POST", "/upload?name=ct.nrrd", b"x", Cookie=cookie)[0] == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_name_that_others_let_point_here_is_not_served(server, cookie, host):
    assert ask(server, "GET", "/index.html", Host=host, Cookie=cookie)[0] == 403
    assert ask(server, "GET", f"/?token={server.token}", Host=host)[0] == 403


def test_the_browser_is_opened_on_a_private_file_that_leads_to_the_page(browser, server, tmp_path):
    path = write_redirection(tmp_path, server.url)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    tab = browser.new_page()
    tab.goto(path.as_uri())
    tab.get_by_role("button", name="Phantom", exact=True).wait_for(timeout=90_000)
    assert "token" not in tab.url
    told = tab.evaluate(
        """async () => {
            const session = window.trame.client.getConnection().getSession();
            try { await session.call("trame.trigger", [{}, {}, {}, {}, {}]); } catch (error) { return error; }
        }"""
    )
    assert "Traceback" not in json.dumps(told)
    assert ".py" not in json.dumps(told)
    assert "failed" in json.dumps(told) or "raised" in json.dumps(told)
    tab.close()


def test_with_the_token_the_page_is_served_and_may_load_from_here_only(server, cookie):
    status, headers, body = ask(server, "GET", "/index.html", Cookie=cookie)
    assert status == 200
    assert b"<html" in body
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_cookie_is_kept_from_scripts_and_other_sites(server):
    header = ask(server, "GET", f"/?token={server.token}")[1]["Set-Cookie"]
    assert "HttpOnly" in header
    assert "SameSite=Strict" in header


def test_every_server_has_its_own_long_token_and_a_private_folder_that_goes_with_it(server, start_server, tmp_path):
    other = start_server()
    assert len(other.token) >= 22
    assert other.token != server.token
    assert urlsplit(other.url).hostname == "127.0.0.1"
    (folder,) = tmp_path.glob("attention-unet-seg-page-*")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    other.process.terminate()
    assert other.process.wait(30) == 0
    assert list(tmp_path.glob("attention-unet-seg-*")) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_other_machines_need_a_token_of_the_persons_own(host):
    with pytest.raises(BadInput, match="needs a token"):
        check_host_and_token(host, None)
    check_host_and_token(host, "a-long-enough-token")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_this_machine_needs_none(host):
    check_host_and_token(host, None)


@pytest.mark.parametrize("token", ["", "short", "fifteen-letters", "a token with spaces in it", "a-token-with-\nin-it"])
def test_a_token_that_is_none_is_refused(token):
    with pytest.raises(BadInput, match="16 or more"):
        check_host_and_token("127.0.0.1", token)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--host", "0.0.0.0"], "needs a token"),
        (["/nowhere/ct.nii"], "There is no file or folder"),
        (["--upload-limit", "0"], "above 0 MB"),
        (["--port", "99999"], "port"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_sentence(arguments, sentence, capfd):
    assert main(["serve", "--no-browser", "--json", *arguments]) == 2
    said = capfd.readouterr()
    assert sentence in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert json.loads(said.out)["error"]["code"] == "bad_input"

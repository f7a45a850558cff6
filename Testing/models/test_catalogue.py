"""Which models are installed, which is the default, and that adding and removing is all or nothing."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from AttentionUNetSegLib.errors import BadInput, BadModel, CannotWrite
from AttentionUNetSegLib.models import Catalogue, bundled_models_folder, staging, user_models_folder, verify_weights
from AttentionUNetSegLib.models import catalogue as module


def install(make_package, folder: Path, model_id: str, **changes) -> Path:
    """Put a package into a folder of a catalogue by hand."""
    source = make_package(f"by-hand/{folder.name}-{model_id}", id=model_id, **changes)
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.move(source, folder / model_id))


def test_empty_catalogue_says_what_to_do(catalogue):
    assert catalogue.packages() == () == catalogue.broken()
    with pytest.raises(BadModel, match="No model is installed") as caught:
        catalogue.get()
    assert "models add" in caught.value.hint


def test_default_is_never_a_phantom_model_while_there_is_another(make_package, catalogue):
    install(make_package, catalogue.bundled, "a-phantom", intended_input="phantom", default=True)
    assert catalogue.default().id == "a-phantom"
    install(make_package, catalogue.user, "z-plain")
    assert catalogue.default().id == "z-plain"
    install(make_package, catalogue.user, "z-standard", default=True)
    assert catalogue.default().id == "z-standard"
    install(make_package, catalogue.bundled, "y-bundled-standard", default=True)
    assert catalogue.get().id == catalogue.default().id == "y-bundled-standard"
    ids = [package.id for package in catalogue.packages()]
    assert ids == ["y-bundled-standard", "z-plain", "z-standard", "a-phantom"]


def test_get_names_what_is_installed(make_package, catalogue):
    install(make_package, catalogue.user, "one")
    assert catalogue.get("one").id == "one"
    with pytest.raises(BadModel, match="No model 'two' is installed. Installed: one."):
        catalogue.get("two")


def test_broken_packages_are_listed_with_the_reason_and_harm_nothing(make_package, catalogue):
    install(make_package, catalogue.user, "good")
    bad = install(make_package, catalogue.user, "bad")
    (bad / "model.json").write_text("{")
    (catalogue.user / "empty").mkdir()
    (catalogue.user / "notes.txt").write_text("not a folder")
    assert [package.id for package in catalogue.packages()] == ["good"]
    reasons = {each.folder.name: each.reason for each in catalogue.broken()}
    assert set(reasons) == {"bad", "empty"}
    assert "JSON" in reasons["bad"]
    assert "has no model.json" in reasons["empty"]
    with pytest.raises(BadModel, match="bad is installed but cannot be used"):
        catalogue.get("bad")
    catalogue.remove("bad")
    catalogue.remove("empty")
    assert catalogue.broken() == ()


def test_second_package_with_an_id_is_broken_and_the_bundled_one_wins(make_package, catalogue):
    install(make_package, catalogue.bundled, "same", version="1.0.0")
    install(make_package, catalogue.user, "same", version="9.0.0")
    assert catalogue.get("same").version == "1.0.0"
    assert "has too" in catalogue.broken()[0].reason
    catalogue.remove("same")
    assert catalogue.broken() == ()
    assert catalogue.get("same").version == "1.0.0"


def test_add_copies_a_folder_and_leaves_the_source(make_package, catalogue):
    source = make_package()
    addition = catalogue.add(source)
    assert addition.message == "Added Pancreas 1.0.0."
    assert addition.package.folder == catalogue.user / "pancreas-ct"
    assert (source / "weights.pt").exists()
    verify_weights(catalogue.get("pancreas-ct"))
    assert [path.name for path in catalogue.user.iterdir()] == ["pancreas-ct"]


def test_adding_the_same_again_changes_nothing_and_says_so(make_package, catalogue):
    source = make_package()
    folder = catalogue.add(source).package.folder
    before = folder.stat().st_ino, folder.stat().st_mtime_ns
    assert catalogue.add(source).message == "Pancreas 1.0.0 is already installed; nothing changed."
    assert (folder.stat().st_ino, folder.stat().st_mtime_ns) == before


def test_same_version_with_other_content_is_refused(make_package, catalogue):
    catalogue.add(make_package())
    with pytest.raises(BadInput, match=r"Another model pancreas-ct 1\.0\.0 is installed, with different content"):
        catalogue.add(make_package("other", weights=b"other"))
    verify_weights(catalogue.get("pancreas-ct"))


def test_another_version_replaces_the_added_one(make_package, catalogue):
    catalogue.add(make_package())
    addition = catalogue.add(make_package("newer", weights=b"newer", version="1.1.0"))
    assert addition.message == "Added Pancreas 1.1.0 instead of 1.0.0."
    assert catalogue.get("pancreas-ct").weights_path.read_bytes() == b"newer"
    assert [path.name for path in catalogue.user.iterdir()] == ["pancreas-ct"]


def test_adding_again_repairs_a_damaged_copy(make_package, catalogue):
    source = make_package()
    weights = catalogue.add(source).package.weights_path
    weights.write_bytes(b"damaged")
    assert catalogue.add(source).message == "Added Pancreas 1.0.0."
    verify_weights(catalogue.get("pancreas-ct"))
    weights.unlink()
    catalogue.add(source)
    verify_weights(catalogue.get("pancreas-ct"))


def test_bundled_packages_are_neither_replaced_nor_removed(make_package, catalogue):
    install(make_package, catalogue.bundled, "pancreas-ct")
    assert "already installed" in catalogue.add(make_package()).message
    with pytest.raises(BadInput, match="came with AttentionUNetSeg"):
        catalogue.add(make_package("newer", version="1.1.0"))
    with pytest.raises(BadInput, match="cannot be removed"):
        catalogue.remove("pancreas-ct")
    assert catalogue.get("pancreas-ct").version == "1.0.0"
    assert not list(catalogue.user.iterdir())


@pytest.mark.parametrize("name", ["unknown", "..", ".", "", "../bundled"])
def test_removing_what_is_not_there_removes_nothing(make_package, catalogue, name):
    catalogue.add(make_package())
    with pytest.raises(BadInput, match="is not installed|is installed, so it cannot"):
        catalogue.remove(name)
    assert catalogue.get("pancreas-ct")


def test_wrong_hash_and_missing_files_are_refused_before_anything_is_installed(make_package, catalogue, tmp_path):
    wrong = make_package()
    (wrong / "weights.pt").write_bytes(b"other")
    with pytest.raises(BadModel, match="damaged or were exchanged"):
        catalogue.add(wrong)
    (wrong / "weights.pt").unlink()
    with pytest.raises(BadModel, match=r"weights\.pt is missing"):
        catalogue.add(wrong)
    with pytest.raises(BadModel, match=r"has no model\.json"):
        catalogue.add(tmp_path / "bundled")
    with pytest.raises(BadInput, match="There is no model package"):
        catalogue.add(tmp_path / "nowhere.zip")
    assert list(catalogue.user.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need special rights on Windows")
def test_links_in_a_source_folder_are_refused_and_a_linked_package_is_only_unlinked(make_package, catalogue, tmp_path):
    source = make_package()
    (source / "LICENSE").symlink_to("/etc/passwd")
    with pytest.raises(BadModel, match="LICENSE is a link"):
        catalogue.add(source)
    (source / "LICENSE").unlink()
    catalogue.user.mkdir(parents=True, exist_ok=True)
    (catalogue.user / "pancreas-ct").symlink_to(source, target_is_directory=True)
    catalogue.remove("pancreas-ct")
    assert catalogue.packages() == ()
    assert (source / "weights.pt").exists()


def test_failed_replacement_leaves_the_old_package(make_package, catalogue, monkeypatch):
    catalogue.add(make_package())
    rename = os.replace

    def refuse_the_new_one(source, destination):
        if Path(source).name == "new":
            raise PermissionError(13, "Permission denied")
        rename(source, destination)

    monkeypatch.setattr(staging.os, "replace", refuse_the_new_one)
    with pytest.raises(CannotWrite, match="Permission denied"):
        catalogue.add(make_package("newer", version="1.1.0"))
    assert catalogue.get("pancreas-ct").version == "1.0.0"
    assert [path.name for path in catalogue.user.iterdir()] == ["pancreas-ct"]


def test_what_a_killed_process_left_is_hidden_and_later_swept(make_package, catalogue):
    fresh, stale = catalogue.user / ".staging-fresh", catalogue.user / ".staging-stale"
    for folder in (fresh, stale):
        (folder / "new").mkdir(parents=True)
    os.utime(stale, (time.time() - 2 * staging.DAY_S,) * 2)
    assert catalogue.packages() == () == catalogue.broken()
    catalogue.add(make_package())
    assert fresh.exists()
    assert not stale.exists()


def test_user_folder_that_cannot_be_made_is_an_error_with_a_sentence(make_package, catalogue, tmp_path):
    (tmp_path / "file").write_text("in the way")
    blocked = Catalogue(catalogue.bundled, tmp_path / "file" / "models")
    with pytest.raises(CannotWrite, match="Cannot write in"):
        blocked.add(make_package())
    assert blocked.packages() == ()


def test_user_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("ATTENTIONUNETSEG_MODELS", str(tmp_path / "mine"))
    assert user_models_folder() == tmp_path / "mine"
    assert Catalogue().user == tmp_path / "mine"
    monkeypatch.delenv("ATTENTIONUNETSEG_MODELS")
    monkeypatch.setattr(module.Path, "home", lambda: tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setattr(sys, "platform", "linux")
    assert user_models_folder() == tmp_path / ".local/share/AttentionUNetSeg/models"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert user_models_folder() == tmp_path / "xdg/AttentionUNetSeg/models"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert user_models_folder() == tmp_path / "Library/Application Support/AttentionUNetSeg/models"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert user_models_folder() == tmp_path / "local/AttentionUNetSeg/models"


def test_every_bundled_package_is_valid_and_intact():
    folder = bundled_models_folder()
    if folder is None:
        pytest.skip("no models are bundled in this checkout")
    bundled = Catalogue(folder, folder / "no-user-folder")
    assert bundled.broken() == ()
    for package in bundled.packages():
        verify_weights(package)
        assert package.folder.name == package.id
        assert json.loads((package.folder / "model.json").read_text(encoding="utf-8"))["licence"]

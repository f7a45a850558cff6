"""What a person finds who opens the extension's page or its panel; packaging proper is in Testing/desktop."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UI = ElementTree.parse(ROOT / "AttentionUNetSeg" / "Resources" / "UI" / "AttentionUNetSeg.ui")


def test_readme_has_what_reviewers_of_the_index_look_for():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    headings = [heading.lower() for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
    for wanted in ("modules", "tutorial", "troubleshooting", "privacy", "remove", "citation", "licence"):
        assert any(wanted in heading for heading in headings), f"no section on {wanted}"
    assert len(text.splitlines()) <= 150, "it is read to the end"
    pictures = re.findall(r"!\[[^]]+\]\((Resources/[^)]+)\)", text)
    assert pictures and all((ROOT / picture).is_file() for picture in pictures)


def test_links_between_documents_lead_somewhere():
    documents = [*ROOT.glob("*.md"), *(ROOT / "Documentation").glob("*.md"), *(ROOT / "research").rglob("*.md")]
    dead, count = [], 0
    for document in documents:
        for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
            if not target.startswith(("http", "mailto:")):
                count += 1
                path, _, heading = target.partition("#")
                place = document.parent / path if path else document
                if not place.exists() or (heading and heading not in headings_of(place)):
                    dead.append(f"{document.relative_to(ROOT)}: {target}")
    assert dead == []
    assert count > 30


def headings_of(document: Path) -> set[str]:
    """As a link calls them: in small letters, words joined by dashes."""
    found = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_the_panel_is_in_the_order_of_work():
    """What every run needs is always in sight, above the sections; those that few people open come last."""
    names = [each.get("name") for each in UI.iter("widget")]
    sections = [each.get("name") for each in UI.iter("widget") if each.get("class") == "ctkCollapsibleButton"]
    assert sections == [
        f"{name}CollapsibleButton"
        for name in ("result", "correction", "attention", "measurements", "start", "input", "advanced")
    ]
    order = ["inputVolumeSelector", "modelComboBox", "segmentButton", "progressWidget", "messageWidget"]
    order += ["resultSelector", "volumeValueLabel", *sections]
    assert [name for name in names if name in order] == order


def test_every_selector_of_the_panel_gets_the_scene():
    selectors = {
        each.get("name") for each in UI.iter("widget") if each.get("class").endswith(("NodeComboBox", "TableComboBox"))
    }
    assert {each.findtext("receiver") for each in UI.iter("connection")} == selectors

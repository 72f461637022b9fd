"""The bill of materials beside a package."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.repository import package

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "deb" / "sbom.py"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("cyclonedx") is None or shutil.which("dpkg-deb") is None,
    reason="no cyclonedx-python-lib or dpkg-deb here",
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """What is installed in the package: three libraries, one without a plain licence, a model."""
    site = tmp_path / "site-packages"
    for name, version, licence in (
        ("Some_Library", "1.2", "License-Expression: MIT"),
        ("other", "3", "License: " + "all of its text, " * 20),
        ("third", "4", "Classifier: License :: OSI Approved :: BSD License"),
        ("kaimen", "0.2.0", "License: Apache-2.0"),
    ):
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{licence}\n"
        (folder / "METADATA").write_text(text)
    (site / "kaimen" / "models").mkdir(parents=True)
    (site / "kaimen" / "models" / "encoder.tflite").write_bytes(b"a network")
    return site


def billed(deb: Path, site: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), str(deb), str(site), "trixie"],
        env=os.environ | {"SOURCE_DATE_EPOCH": "1790000000"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_it_names_what_is_in_the_package_and_is_the_same_twice(tmp_path: Path, site: Path) -> None:
    from cyclonedx.schema import OutputFormat, SchemaVersion
    from cyclonedx.validation import make_schemabased_validator

    deb = package(tmp_path, "0.2.0+deb13", depends="python3 (>= 3.13), libportaudio2")
    text = billed(deb, site)
    assert billed(deb, site) == text
    check = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6)
    assert check.validate_str(text) is None
    bill: dict[str, Any] = json.loads(text)
    assert bill["metadata"]["component"]["version"] == "0.2.0+deb13"
    parts = {each["name"]: each for each in bill["components"]}
    assert set(parts) == {
        "Some_Library", "other", "third", "python3", "libportaudio2", "encoder.tflite",
    }  # fmt: skip
    assert parts["Some_Library"]["purl"] == "pkg:pypi/some-library@1.2"
    assert parts["Some_Library"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert "licenses" not in parts["other"]
    assert parts["third"]["licenses"][0]["license"]["name"] == "BSD License"
    assert parts["libportaudio2"]["purl"] == "pkg:deb/debian/libportaudio2?distro=trixie"
    assert parts["encoder.tflite"]["hashes"][0]["alg"] == "SHA-256"

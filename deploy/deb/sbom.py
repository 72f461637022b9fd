"""Prints the bill of materials of a package: CycloneDX 1.6, checked against its schema.

    python deploy/deb/sbom.py PACKAGE.deb SITE-PACKAGES SUITE

What Python packages are installed in the package is read from their own metadata, what it takes
from Debian from its control file, and what it hears with from the cards of its models. The same
package always has the same bill.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.license import License
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator
from packageurl import PackageURL

VERSION = SchemaVersion.V1_6
LONG = 60  # letters: what stands under License may be its whole text


def field(package: Path, name: str) -> str:
    """Return a field of the package's control file."""
    said = subprocess.run(
        ["dpkg-deb", "--field", str(package), name], check=True, capture_output=True, text=True
    )
    return said.stdout.strip()


def sha256(path: Path) -> HashType:
    """Return the hash of a file."""
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    return HashType(alg=HashAlgorithm.SHA_256, content=content)


def from_python(site: Path) -> Iterator[Component]:
    """Yield what was installed by pip, in the order of its names."""
    found = list(importlib.metadata.distributions(path=[str(site)]))
    for each in sorted(found, key=lambda one: one.metadata["Name"].lower()):
        name = each.metadata["Name"]
        if name == "kaimen":
            continue
        said = each.metadata.get("License-Expression") or each.metadata.get("License") or ""
        known = said and len(said) <= LONG and said.upper() != "UNKNOWN"
        yield Component(
            type=ComponentType.LIBRARY,
            bom_ref=f"pypi:{name}",
            name=name,
            version=each.version,
            licenses=[LicenseFactory().make_from_string(said)] if known else _classified(each),
            purl=PackageURL("pypi", None, name.lower().replace("_", "-"), each.version),
        )


def _classified(distribution: importlib.metadata.Distribution) -> list[License]:
    """Return the licence that a distribution is classified under, where it has no other."""
    for line in distribution.metadata.get_all("Classifier") or ():
        if line.startswith("License :: "):
            return [LicenseFactory().make_with_name(line.rpartition(" :: ")[2])]
    return []


def from_debian(package: Path, suite: str) -> Iterator[Component]:
    """Yield what the package depends on: Debian's, in the version that the gate's system has."""
    names = {each.split()[0] for each in field(package, "Depends").split(", ")}
    for name in sorted(names):
        yield Component(
            type=ComponentType.LIBRARY,
            bom_ref=f"deb:{name}",
            name=name,
            scope=ComponentScope.REQUIRED,
            purl=PackageURL("deb", "debian", name, qualifiers={"distro": suite}),
        )


def models(site: Path) -> Iterator[Component]:
    """Yield the networks that come along, by the names of their files."""
    folder = site / "kaimen" / "models"
    for path in sorted(folder.rglob("*.tflite")):
        yield Component(
            type=ComponentType.MACHINE_LEARNING_MODEL,
            bom_ref=f"model:{path.relative_to(folder)}",
            name=str(path.relative_to(folder)),
            hashes=[sha256(path)],
        )


def bill(package: Path, site: Path, suite: str) -> Bom:
    """Return the bill of materials of a package."""
    name, version = field(package, "Package"), field(package, "Version")
    own = Component(
        type=ComponentType.APPLICATION,
        bom_ref="kaimen",
        name=name,
        version=version,
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
        purl=PackageURL(
            "deb",
            "kaimen",
            name,
            version,
            qualifiers={"arch": field(package, "Architecture"), "distro": suite},
        ),
        hashes=[sha256(package)],
        properties=[Property(name="kaimen:file", value=package.name)],
    )
    parts = [*from_python(site), *from_debian(package, suite), *models(site)]
    bom = Bom(components=parts, serial_number=uuid.uuid5(uuid.NAMESPACE_URL, _hash_of(own)))
    bom.metadata.component = own
    bom.metadata.supplier = OrganizationalEntity(name="Kaimen")
    bom.metadata.timestamp = datetime.datetime.fromtimestamp(
        int(os.environ["SOURCE_DATE_EPOCH"]), datetime.UTC
    )
    bom.register_dependency(own, parts)
    return bom


def _hash_of(component: Component) -> str:
    return next(iter(component.hashes)).content


def written(bom: Bom) -> str:
    """Return the bill as JSON. Raises ValueError where it is not as its schema says."""
    text = make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=2)
    wrong = make_schemabased_validator(OutputFormat.JSON, VERSION).validate_str(text)
    if wrong is not None:
        raise ValueError(f"the bill of materials is not CycloneDX: {wrong}")
    return json.dumps(json.loads(text), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    package, site, suite = sys.argv[1:]
    sys.stdout.write(written(bill(Path(package), Path(site), suite)))

#!/usr/bin/env python3
"""Prints the section of CHANGELOG.md that describes one version: the notes of its release.

Usage: tools/release_notes.py 0.1.0

Exits with 1 if there is no such section, or if it is empty.
"""

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"


def release_notes(changelog, version):
    """Returns the text under the heading `## [version]`, without the heading, or None if there is none."""
    heading = rf"^## \[{re.escape(version)}\](?: [^\n]*)?$"
    match = re.search(rf"{heading}\n(.*?)(?=^## |\Z)", changelog, re.M | re.S)
    return match and match[1].strip() or None


def main():
    if len(sys.argv) != 2:
        sys.exit("Usage: tools/release_notes.py VERSION")
    version = sys.argv[1]
    notes = release_notes(CHANGELOG.read_text(), version)
    if notes is None:
        sys.exit(f"CHANGELOG.md has no text under a heading ## [{version}]")
    print(notes)


if __name__ == "__main__":
    main()

"""The CDK library follows from the rest: its properties from the schemas, which a Rust test holds to the provider's table,
and its version from the crate."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_typed_properties_are_those_of_the_schemas():
    result = subprocess.run([sys.executable, ROOT / "cdk" / "generate.py", "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_library_has_the_version_of_the_crate():
    crate = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    for name in ("package.json", "package-lock.json"):
        assert json.loads((ROOT / "cdk" / name).read_text())["version"] == crate, name

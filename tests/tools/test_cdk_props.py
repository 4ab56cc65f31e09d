"""The CDK library's properties follow from the schemas, which a Rust test holds to the provider's table."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_typed_properties_are_those_of_the_schemas():
    result = subprocess.run([sys.executable, ROOT / "cdk" / "generate.py", "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr

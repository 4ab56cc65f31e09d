"""The tools that make the files of a release."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from release_notes import release_notes  # noqa: E402
from transform import TEMPLATE, plain, yaml_parse  # noqa: E402

# CreateStackSet takes a TemplateBody up to this size:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStackSet.html
MAX_TEMPLATE_BODY_BYTES = 51_200

CHANGELOG = """\
# Changelog

## [Unreleased]

## [0.1.10] - 2026-02-02

### Added

- The tenth.

## [0.1.1] - 2026-01-01

- The first, and the last section.
"""


def test_the_notes_of_a_version_are_its_section_without_the_heading():
    assert release_notes(CHANGELOG, "0.1.10") == "### Added\n\n- The tenth."


def test_a_version_is_not_taken_for_one_that_begins_alike():
    assert release_notes(CHANGELOG, "0.1.1") == "- The first, and the last section."
    assert release_notes(CHANGELOG, "0.1") is None


def test_an_empty_section_is_no_notes():
    assert release_notes(CHANGELOG, "Unreleased") is None


def test_a_missing_version_fails_the_release():
    run = subprocess.run(
        [sys.executable, ROOT / "tools/release_notes.py", "999.0.0"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert "999.0.0" in run.stderr


def test_the_transformed_template_needs_no_macro_and_is_not_tied_to_a_partition():
    template = plain(yaml_parse(TEMPLATE.read_text()))
    text = json.dumps(template)
    assert "Transform" not in template
    assert "AWS::Serverless" not in text
    assert "arn:aws:" not in text
    assert len(text) < MAX_TEMPLATE_BODY_BYTES


def test_the_transformed_template_has_the_resources_and_outputs_of_the_source():
    source = yaml_parse(TEMPLATE.read_text())
    template = plain(yaml_parse(TEMPLATE.read_text()))
    assert source["Resources"].keys() <= template["Resources"].keys()
    assert template["Outputs"].keys() == source["Outputs"].keys()


def test_the_transformed_template_takes_the_zip_files_of_the_release():
    resources = plain(yaml_parse(TEMPLATE.read_text()))["Resources"]
    functions = {name: r["Properties"] for name, r in resources.items() if r["Type"] == "AWS::Lambda::Function"}
    keys = {name: function["Code"]["S3Key"] for name, function in functions.items()}
    assert keys == {
        "ProviderFunction": {"Fn::Sub": "${CodeKeyPrefix}provider-${Architecture}.zip"},
        "RotationFunction": {"Fn::Sub": "${CodeKeyPrefix}rotation-${Architecture}.zip"},
    }


def test_cfn_lint_accepts_the_transformed_template(tmp_path):
    path = tmp_path / "template.json"
    path.write_text(json.dumps(plain(yaml_parse(TEMPLATE.read_text())), indent=1))
    lint = Path(sys.executable).with_name("cfn-lint")
    run = subprocess.run([lint, path], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr

#!/usr/bin/env python3
"""Builds the CDK library and packs it: an npm package in cdk/dist/js, a Python wheel in cdk/dist/python.

Usage: cdk/pack.py [FUNCTIONS]

FUNCTIONS is a folder with the zip files of a release, `provider-<architecture>.zip` and `rotation-<architecture>.zip`.
Without it, the package gets what `sam build` has built, for that architecture.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from generate import SCHEMAS

CDK = Path(__file__).resolve().parent
ROOT = CDK.parent
TOOLS = ROOT / ".tools"
BUILD = ROOT / ".aws-sam" / "build"
NAMES = ("provider", "rotation")
# e_machine, two bytes at this place of an ELF file, for the processors that Lambda has.
MACHINE = slice(18, 20)
ARCHITECTURES = {0x3E: "x86_64", 0xB7: "arm64"}
# The time of all files in the zip files, so that the same code makes the same file: the first that zip knows.
EPOCH = (1980, 1, 1, 0, 0, 0)
EXECUTABLE = 0o100755 << 16
# What follows from other files, and what is packed with it.
FUNCTIONS = CDK / "functions"
DIST = CDK / "dist"
TEMPLATE = CDK / "provider.template.json"
# What the construct fills. The other parameters are for the machine-to-machine stack that the template can make too.
KEPT_PARAMETERS = (
    "Architecture",
    "LogLevel",
    "LogRetentionInDays",
    "AlarmTopicArn",
    "PermissionsBoundaryArn",
    "SecretsPrefix",
    "SecretKmsKeyArns",
)


def run(*command, folder=CDK):
    environment = {**os.environ, "PATH": f"{TOOLS / 'cdk' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([str(part) for part in command], cwd=folder, env=environment, check=True, stdin=subprocess.DEVNULL)


def provider_template(plain):
    """The part of the plain template that is the provider."""
    resources = {name: each for name, each in plain["Resources"].items() if name != "M2M"}
    for resource in resources.values():
        tags = resource["Properties"].get("Tags", [])
        if tags and all(tag["Key"].startswith("lambda:createdBy") for tag in tags):
            del resource["Properties"]["Tags"]
        if resource["Type"] == "AWS::Lambda::Function":
            # The construct puts the asset here.
            resource["Properties"]["Code"] = {"S3Bucket": "asset", "S3Key": "asset"}
    # The construct has defaults of its own, and checks of a parameter are checks of a value that is given at deployment.
    parameters = {name: {"Type": plain["Parameters"][name]["Type"]} for name in KEPT_PARAMETERS}
    return {"Parameters": parameters, "Resources": resources}


def write_template():
    plain = subprocess.run(
        [TOOLS / "sam" / "bin" / "python", ROOT / "tools" / "transform.py"], check=True, capture_output=True, text=True
    ).stdout
    TEMPLATE.write_text(json.dumps(provider_template(json.loads(plain)), indent=1) + "\n")


def write_functions():
    """Packs what `sam build` has built, as Lambda wants it."""
    for name in NAMES:
        code = (BUILD / f"{name.title()}Function" / "bootstrap").read_bytes()
        architecture = ARCHITECTURES[int.from_bytes(code[MACHINE], "little")]
        entry = zipfile.ZipInfo("bootstrap", EPOCH)
        entry.external_attr = EXECUTABLE
        with zipfile.ZipFile(FUNCTIONS / f"{name}-{architecture}.zip", "w") as archive:
            archive.writestr(entry, code, zipfile.ZIP_DEFLATED, compresslevel=9)


def copy_functions(folder):
    for name in NAMES:
        for archive in sorted(folder.glob(f"{name}-*.zip")):
            shutil.copy(archive, FUNCTIONS)


def main():
    for folder in (FUNCTIONS, DIST, CDK / "lib"):
        shutil.rmtree(folder, ignore_errors=True)
    FUNCTIONS.mkdir()
    if len(sys.argv) > 1:
        copy_functions(Path(sys.argv[1]))
    else:
        write_functions()
    write_template()
    shutil.copytree(SCHEMAS, CDK / "schemas", dirs_exist_ok=True)
    shutil.copy(ROOT / "LICENSE", CDK / "LICENSE")
    shutil.copy(ROOT / "CHANGELOG.md", CDK / "CHANGELOG.md")
    run("npm", "run", "--silent", "build")
    run("node_modules/.bin/jsii-pacmak", "--target", "js")
    # pacmak would install the newest packages to build the wheel. The pinned ones do it as well.
    run("node_modules/.bin/jsii-pacmak", "--target", "python", "--code-only", "--outdir", DIST / "code")
    run(
        *(TOOLS / "cdk" / "bin" / "python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--disable-pip-version-check", "--wheel-dir", DIST / "python", DIST / "code" / "python"),
    )
    shutil.rmtree(DIST / "code")


if __name__ == "__main__":
    main()

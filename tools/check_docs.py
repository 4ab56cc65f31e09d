#!/usr/bin/env python3
"""Holds the documents against the code: links, anchors, parameters, outputs, attributes, quoted errors.

Prints each problem as file:line: text, and exits with 1 if there is one.

A message in a code span with a source in a comment behind it, such as `The step … failed` <!-- src -->, must occur in
that file, or in one file below that folder; `…` is anything. <!-- AWS --> marks what comes from elsewhere.
"""

import re
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (
    "README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md", "cdk/README.md", "examples/**/*.md", "lint/*.md"
)
NOT_OURS = {"node_modules", ".venv", "cdk.out"}
REFERENCE = ROOT / "docs" / "reference.md"

problems = []


def problem(path, line, text):
    problems.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def numbered(path):
    return list(enumerate(path.read_text().splitlines(), start=1))


def without_code(path):
    """The lines of a document outside its blocks of code."""
    fence = None
    for number, line in numbered(path):
        mark = re.match(r"\s*(```+|~~~+)", line)
        if fence is None and mark:
            fence = mark[1]
        elif fence is not None:
            fence = None if mark and line.strip() == fence else fence
        else:
            yield number, line


def anchors(path):
    """The anchors that a code host makes of the headings."""
    found = set()
    for _, line in without_code(path):
        if heading := re.match(r"#{1,6}\s+(.*?)\s*#*$", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            number, unique = 0, slug
            while unique in found:
                number += 1
                unique = f"{slug}-{number}"
            found.add(unique)
    return found


def check_links(path):
    for number, line in without_code(path):
        # Not inside code spans.
        for target in re.findall(r"\]\(([^()\s]+)\)", re.sub(r"`[^`]*`", "", line)):
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            name, _, anchor = unquote(target).partition("#")
            file = (path.parent / name).resolve() if name else path
            if not file.exists():
                problem(path, number, f"there is no {name}")
            elif anchor and file.suffix == ".md" and anchor not in anchors(file):
                problem(path, number, f"there is no heading #{anchor} in {file.relative_to(ROOT)}")


def check_pictures(path):
    """What a code host cannot draw, it shows as an error. A semicolon ends a statement, in the middle of a text too."""
    inside = False
    for number, line in numbered(path):
        if line.lstrip().startswith("```"):
            inside = line.strip() == "```mermaid"
        elif inside and ";" in line:
            problem(path, number, "a semicolon in a Mermaid picture")


def check_quotes(path):
    """Messages may go over the end of a line, so this looks at the whole text."""
    text = path.read_text()
    for match in re.finditer(r"(?:`([^`]+)`[*_]*,?\s*)?<!--\s+(.*?)\s+-->", text):
        quote, source = match[1], match[2]
        number = text.count("\n", 0, match.end()) + 1
        if source == "AWS":
            continue
        if quote is None:
            problem(path, number, f"no message in front of <!-- {source} -->")
            continue
        if not sources(source):
            problem(path, number, f"there is no {source} to quote from")
        elif not any(says(text, quote) for text in sources(source)):
            problem(path, number, f"{source} does not say: {' '.join(quote.split())}")


@cache
def sources(name):
    """The texts of a file, or of every Rust file below a folder: a folder needs no change when the code moves."""
    path = ROOT / name
    files = [path] if path.is_file() else sorted(path.rglob("*.rs"))
    # Rust breaks a long text with a backslash and takes the next line's indentation away.
    return [re.sub(r"\\\n\s*", "", file.read_text()).replace('\\"', '"') for file in files]


def says(text, quote):
    at = 0
    for part in (part.strip() for part in re.split(r"…", " ".join(quote.split()))):
        # What follows a placeholder may begin with a sign of its own, such as a full stop.
        if len(part) > 1 and (at := text.find(part, at)) < 0:
            return False
    return True


def table(path, heading):
    """The names in the first column of the tables under a heading, each with its line."""
    names, level = {}, None
    for number, line in without_code(path):
        if mark := re.match(r"(#+)\s+(.*)", line):
            if level is not None and len(mark[1]) <= level:
                break
            if mark[2] == heading:
                level = len(mark[1])
            continue
        if level is not None and (cell := re.match(r"\|\s*(`[^|]*`)\s*\|", line)):
            names.update({name: number for name in re.findall(r"`([^`]+)`", cell[1])})
    if level is None:
        problem(path, 1, f"there is no heading {heading}")
    return names


def attributes_in_prose(heading):
    """The sentence of the reference that lists the attributes of a type, with its line."""
    text = REFERENCE.read_text()
    section = re.search(rf"^## {heading}$.*?(?=^## |\Z)", text, re.S | re.M)
    sentence = section and re.search(r"`Fn::GetAtt` has (.*?)\.(?=\s)", section[0], re.S)
    if not sentence:
        problem(REFERENCE, 1, f"no sentence under {heading} says what `Fn::GetAtt` has")
        return 1, ""
    # What is in parentheses explains.
    return text.count("\n", 0, section.start() + sentence.start()) + 1, re.sub(r"\([^)]*\)", "", sentence[1])


def same(what, documented, declared):
    for name in declared - documented.keys():
        problem(REFERENCE, 1, f"the {what} {name} is not documented")
    for name in documented.keys() - declared:
        problem(REFERENCE, documented[name], f"there is no {what} {name}")


def check_reference():
    """A Rust test holds the properties (src/properties/reference.rs)."""
    attributes = (ROOT / "src/provider/attributes.rs").read_text()
    names = ("of_pool", "of_client", "of_resource_server")
    of_pool, of_client, of_server = (
        re.search(rf"^fn {name}\(.*?^}}", attributes, re.S | re.M)[0] for name in names
    )
    declared = set(re.findall(r'\("(\w+)",', of_pool)) | {
        name.replace("{}", "<ClientName>") for name in re.findall(r'format!\("(\w+\.\{\})"', of_pool)
    }
    # Those that not every resource has.
    declared |= set(re.findall(r'\("(\w+)"\.to_owned\(\)', attributes))
    same("attribute", table(REFERENCE, "Return values"), declared)
    for heading, code in (("Custom::CognitoM2MClient", of_client), ("Custom::CognitoM2MResourceServer", of_server)):
        number, sentence = attributes_in_prose(heading)
        documented = dict.fromkeys(re.findall(r"`(\w+)`", sentence), number)
        same(f"attribute of {heading}", documented, set(re.findall(r'\("(\w+)",', code)))

    keys = (ROOT / "src/aws/secrets_manager.rs").read_text()
    # `former` is only in the version that records what a client was before it was taken over.
    declared = set(re.findall(r"(\w+): ", re.search(r"struct Json \{(.*?)\n\}", keys, re.S)[1])) - {"former"}
    same("key of the secret", table(REFERENCE, "The secret"), declared)

    template = (ROOT / "template.yaml").read_text()
    for section, heading in (("Parameters", "Template parameters"), ("Outputs", "Template outputs")):
        body = re.search(rf"^{section}:\n(.*?)(?=^\S|\Z)", template, re.S | re.M)[1]
        names = set(re.findall(r"^  (\w+):", body, re.M))
        same(f"entry of {section} in template.yaml", table(REFERENCE, heading), names)


def main():
    documents = {path for pattern in DOCUMENTS for path in ROOT.glob(pattern)}
    documents = sorted(path for path in documents if not NOT_OURS & set(path.relative_to(ROOT).parts))
    for path in documents:
        check_links(path)
        check_quotes(path)
        check_pictures(path)
    check_reference()
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{len(documents)} documents, {len(problems)} problems", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()

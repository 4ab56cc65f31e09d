#!/usr/bin/env python3
"""Runs every part of `make test`, adds the tests up, and ends with one line: N passed, N failed."""

import os
import re
import signal
import subprocess
import sys
import time

PARTS = ("test-format", "test-clippy", "test-rust", "test-templates", "test-e2e")
CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed")
PYTEST = re.compile(r"^[= ]*(\d.*) in [\d.]+s\b")


# The part that a signal has ended.
stopped = []


def counts(line):
    """The passed and failed tests that a line of output reports, or None."""
    if match := CARGO.match(line):
        return int(match[1]), int(match[2])
    if match := PYTEST.match(line):
        numbers = {word.rstrip("s"): int(number) for number, word in re.findall(r"(\d+) (\w+)", match[1])}
        return numbers.get("passed", 0), numbers.get("failed", 0) + numbers.get("error", 0)
    return None


def run(part):
    """Runs one target of the Makefile and shows what it says. Returns whether it succeeded, and its counts."""
    print(f"\n--- make {part}", flush=True)
    started = time.monotonic()
    passed = failed = 0
    # A make of its own, not part of the job server of the one that called this.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    process = subprocess.Popen(
        ["make", "--no-print-directory", part],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    # make does not wait for grandchildren: pass the signal on, and let them stop what they have started.
    def stop(*_):
        process.terminate()
        stopped.append(part)

    signal.signal(signal.SIGTERM, stop)
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            if found := counts(line):
                passed, failed = passed + found[0], failed + found[1]
    except KeyboardInterrupt:
        process.wait()
        raise
    ok = process.wait() == 0
    if not ok and failed == 0:
        failed = 1  # it failed as a whole: formatting, a lint, a build
    print(f"--- make {part}: {'ok' if ok else 'FAILED'} ({time.monotonic() - started:.0f} s)", flush=True)
    return ok, passed, failed


def main():
    results = {}
    for part in PARTS:
        results[part] = run(part)
        if stopped:
            sys.exit(143)
    broken = [part for part, (ok, _, _) in results.items() if not ok]
    print(f"\nFailed: {', '.join(broken)}" if broken else "\nEverything passed.")
    print(f"{sum(r[1] for r in results.values())} passed, {sum(r[2] for r in results.values())} failed")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()

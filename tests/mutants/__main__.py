"""`python -m tests.mutants` takes out one guard after another, and checks that its test turns red.

`python -m tests.mutants WORD…` tries the guards whose names have one of the words. It works on copies of the project.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from compileall import compile_dir
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from py_compile import PycInvalidationMode
from queue import SimpleQueue

from tests.mutants.guards import MUTANTS
from tests.mutants.mutant import Mutant

PROJECT = Path(__file__).parent.parent.parent
#: Seconds that the test of a guard may take.
TEST_SECONDS = 180
#: Tests at the same time for each processor: they wait more than they compute.
JOBS_OF_EACH = 2
#: No test of a guard needs these: they would load the libraries of Docker each time.
WITHOUT_PLUGINS = ("-p", "no:celery", "-p", "no:docker_tools")
#: The exit code of pytest when tests ran, and some failed.
TESTS_FAILED = 1


def copy_project(directory: Path) -> Path:
    """A copy of the files that git knows, and of those that it does not ignore."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    for name in names:
        source, target = PROJECT / name, directory / name
        if source.exists() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return directory


def compiled(copy: Path) -> Path:
    """The copy with bytecode, which Python uses as long as the source has the same content."""
    compile_dir(copy, quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    return copy


def run(copy: Path, test: str) -> tuple[int, str]:
    """Run a test in the copy: pytest's exit code, and what it prints."""
    environ = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "TEST_PATIENCE_SECONDS": "10"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        *WITHOUT_PLUGINS,
        "--tb=line",
        test,
    ]
    done = subprocess.run(
        command, cwd=copy, env=environ, check=False, timeout=TEST_SECONDS,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout


def fault(copy: Path, mutant: Mutant) -> str:
    """Why the guard is not held by its test; nothing when it is."""
    path = copy / mutant.path
    whole = path.read_text()
    if whole.count(mutant.text) != 1:
        return f"{mutant.path} has its text {whole.count(mutant.text)} times (expected: once)"
    path.write_text(whole.replace(mutant.text, mutant.mutation))
    try:
        code, output = run(copy, mutant.test)
    except subprocess.TimeoutExpired:
        # A guard without which a test waits for ever is held too.
        return ""
    finally:
        path.write_text(whole)
    if code == TESTS_FAILED:
        return ""
    return f"{mutant.test} ends with code {code} without it (expected {TESTS_FAILED}):\n{output[-1500:]}"


def main(words: Sequence[str]) -> int:
    """Try the guards side by side, and print what is not held."""
    mutants = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    started_at, faults = time.monotonic(), list[str]()
    with tempfile.TemporaryDirectory() as name:
        copies: SimpleQueue[Path] = SimpleQueue()
        jobs = JOBS_OF_EACH * (os.cpu_count() or 1)
        for job in range(jobs):
            copies.put(compiled(copy_project(Path(name) / str(job))))

        def tried(mutant: Mutant) -> str:
            copy = copies.get()
            try:
                return fault(copy, mutant)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(jobs) as pool:
            for mutant, reason in zip(mutants, pool.map(tried, mutants), strict=True):
                sys.stdout.write(f"{'NOT HELD' if reason else 'held'}: {mutant.name}\n")
                if reason:
                    faults.append(f"NOT HELD: {mutant.name}: {reason}\n")
    seconds = time.monotonic() - started_at
    # Together at the end, where they are seen.
    sys.stdout.writelines(faults)
    sys.stdout.write(f"{len(mutants)} guards taken out, {len(faults)} not held, in {seconds:.0f} s\n")
    return 1 if faults or not mutants else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

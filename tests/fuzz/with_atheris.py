"""One target with atheris, guided by the coverage of hyperband.api and hyperband.report.

libFuzzer ends the process where an input hangs or fills the memory, and leaves that input behind.
"""

import sys

import atheris

with atheris.instrument_imports(include=["hyperband.api", "hyperband.report"]):
    from tests.fuzz.findings import Campaign

from tests.fuzz.__main__ import campaign, corpus, executed
from tests.fuzz.seeds import DICTIONARY, seeds


def main(target: str, runs: int) -> None:
    """Does not return: libFuzzer ends the process."""
    folder, inputs = campaign("atheris", target), corpus(target)
    inputs.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (inputs / f"seed-{number}").write_bytes(seed)
    dictionary = folder / "dictionary.txt"
    dictionary.write_text("".join(f"{_quoted(word)}\n" for word in DICTIONARY))
    run = Campaign(target, folder, runs, executed(folder))
    arguments = [
        sys.argv[0],
        str(inputs),
        f"-runs={runs - run.done}",
        f"-dict={dictionary}",
        "-max_len=2048",
        "-timeout=60",  # seconds, for what would never end
        "-rss_limit_mb=2048",
        f"-artifact_prefix={folder}/finding-",
        "-reload=0",
        "-print_final_stats=1",
    ]
    atheris.Setup(arguments, run.run)
    atheris.Fuzz()


def _quoted(word: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"'


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

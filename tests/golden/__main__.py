"""What a change must leave as it is: ``python -m tests.golden list.json`` carries out the studies of this folder and
writes down every id, checksum, number and figure that they come to; ``--compare`` says what differs from another list.

Run it before and after a change on one machine: both must be equal, with either ``--executor``. Lists of
the two executors differ in models of large stacks, by rounding: workers cut such a stack between them.
With ``--portable`` the list has what can be compared on any processor. ``tests/golden/list.json`` is such a list.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))


def main() -> None:
    from tests.golden.machine import machine
    from tests.golden.portable import portable, text
    from tests.golden.recording import EVERY_STAGE, WITHOUT_PAGE, carried_out, listed
    from tests.golden.studies import STUDIES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", nargs="*", default=list(STUDIES), choices=list(STUDIES))
    parser.add_argument("--executor", default="serial", choices=["serial", "ray"])
    parser.add_argument("--compare", type=Path, help="an earlier list of the same form")
    parser.add_argument("--portable", action="store_true")
    options = parser.parse_args()
    commands = WITHOUT_PAGE if options.portable else EVERY_STAGE
    studies = {}
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            run = carried_out(STUDIES[name], Path(folder), options.executor, commands)
            studies[name] = portable(run) if options.portable else listed(run)
        print(f"{name}: {len(studies[name]['shards'])} shards, {len(studies[name]['models'])} models", flush=True)
    listing = {"made": machine(), "studies": studies}
    options.output.write_text(text(listing) if options.portable else json.dumps(studies, indent=1) + "\n")
    if options.compare:
        wrong = _differences(json.loads(options.compare.read_text()), listing, options.portable)
        print("\n".join(wrong) if wrong else "equal")
        sys.exit(bool(wrong))


def _differences(earlier: dict[str, Any], listing: dict[str, Any], is_portable: bool) -> list[str]:
    """Of the studies that have been carried out now."""
    from tests.golden.comparison import compare
    from tests.golden.recording import differences

    studies = listing["studies"]
    if not is_portable:
        return [text for name, study in studies.items() for text in differences(earlier.get(name), study, name)]
    same_machine = earlier["made"] == listing["made"]
    pairs = [(name, earlier["studies"][name], study) for name, study in studies.items()]
    return [f"{name} {difference}" for name, old, new in pairs for difference in compare(old, new, same_machine)]


if __name__ == "__main__":
    main()

"""What a change must leave as it is: ``python -m tests.golden list.json`` carries out the studies of this folder and
writes down every id, checksum, number and figure that they come to; ``--compare`` says what differs from another list.

Run it before and after a change on one machine: both must be equal, whoever carries out the tasks (``--executor``).
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))


def main() -> None:
    from tests.golden.recording import differences, recorded
    from tests.golden.studies import STUDIES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", nargs="*", default=list(STUDIES), choices=list(STUDIES))
    parser.add_argument("--executor", default="serial", choices=["serial", "ray"])
    parser.add_argument("--compare", type=Path, help="an earlier list")
    options = parser.parse_args()
    found = {}
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = recorded(STUDIES[name], Path(folder), options.executor)
        print(f"{name}: {len(found[name]['shards'])} shards, {len(found[name]['models'])} models", flush=True)
    options.output.write_text(json.dumps(found, indent=1) + "\n")
    if options.compare:
        earlier = {name: part for name, part in json.loads(options.compare.read_text()).items() if name in found}
        wrong = differences(earlier, found)
        print("\n".join(wrong) if wrong else "equal")
        sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

"""python -m census transformers [--only a,b] [--plain] [--journal file] > results/transformers.json"""

import sys

from .writing import text


def option(name: str) -> str | None:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] != "transformers":
        sys.exit("usage: python -m census transformers [--only type,type] [--plain] [--journal file]")
    from .transformers_run import run

    only, journal = option("--only"), option("--journal")
    sys.stdout.write(text(run(only.split(",") if only else None, "--plain" not in sys.argv, open(journal, "w") if journal else None)))


main()

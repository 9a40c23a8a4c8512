"""python -m census transformers [--only a,b] [--plain] [--journal file] > results/transformers.json
python -m census assemble file file > results/transformers.json"""

import json
import sys

from .writing import text


def option(name: str) -> str | None:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def main() -> None:
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "transformers":
        from .transformers_run import run

        only, journal = option("--only"), option("--journal")
        result = run(only.split(",") if only else None, "--plain" not in sys.argv, open(journal, "w") if journal else None)
    elif command == "assemble":
        from .transformers_run import assembled, unnamed

        models: dict = {}
        for name in sys.argv[2:]:
            with open(name) as file:
                if name.endswith(".json"):
                    models.update(unnamed(json.load(file)))
                    continue
                for line in file:
                    models.update(json.loads(line))
        result = assembled(models)
    else:
        sys.exit(__doc__)
    sys.stdout.write(text(result))


main()

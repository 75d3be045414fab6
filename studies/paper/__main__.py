"""Train models with losses that were fitted or used in other ways than `studies.training` does.

    python -m studies.paper                    # all studies
    python -m studies.paper table_8 --jobs 2   # approximation against rank correlation

Trainings are those of `studies.training`, go to the same results, and go on where they were stopped.
`python -m benchmarks` writes them to docs/measurements/results.md.
"""

from __future__ import annotations

import argparse

from studies.options import check
from studies.paper._suite import STUDIES
from studies.training._running import add_options, run


def main() -> None:
    """Train what has not been trained yet."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.paper", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(STUDIES)}; all by default")
    add_options(parser, n_seeds=None)
    options = parser.parse_args()
    check(parser, options.names, STUDIES, options.data)
    for name in options.names or STUDIES:
        study = STUDIES[name]
        own = argparse.Namespace(**{**vars(options), "seeds": options.seeds or study.n_seeds})
        for experiment, comparison in study.parts().items():
            run(experiment, comparison, study.scale, own)


if __name__ == "__main__":
    main()

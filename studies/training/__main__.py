"""Train models with the regular loss, with exported losses and with losses made by hand, and measure what each gains.

    python -m studies.training                                # all experiments, in order
    python -m studies.training translation_de_en --seeds 5 --jobs 2
    python -m studies.training oil_spill --seeds 360 --jobs 2 --losses fitted  # and the regular loss
    python -m studies.training --scale paper --device cuda    # ResNet-56, and translation models of base size

Losses are fitted as `autosurrogate fit` does with its defaults, and the paper's as the paper did; weights and learning
rates are tuned on the validation split. Each training is appended to `--results` as it ends: a run that was stopped
goes on where it was. `--show` prints the table of what has been measured; `python -m benchmarks` writes it to
docs/measurements/results.md.
"""

from __future__ import annotations

import argparse

from studies import rows
from studies.options import check
from studies.training._page import section
from studies.training._running import add_options, run
from studies.training._suite import SCALES, comparisons


def main() -> None:
    """Train what has not been trained yet."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = ", ".join(name for scale in SCALES for name in comparisons(scale))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {every}; all of the scale by default")
    parser.add_argument("--scale", choices=SCALES, default="small", help="paper: models as large as the paper's")
    parser.add_argument("--show", action="store_true", help="print the table of what is measured and train nothing")
    parser.add_argument(
        "--losses", nargs="+", metavar="LOSS", help="of fitted, paper and those made by hand, beside the regular (all)"
    )
    add_options(parser)
    options = parser.parse_args()
    known = comparisons(options.scale)
    if options.show:
        print(section(list(rows.read(options.results)), known))
        return
    check(parser, options.names, known, options.data)
    wanted = {name: known[name] for name in options.names or known}
    if options.losses:
        losses = {loss for comparison in wanted.values() for loss in (*comparison.fits, *comparison.rivals)}
        if missing := [loss for loss in options.losses if loss not in losses]:
            parser.error(f"--losses: {missing[0]!r} is none of {', '.join(sorted(losses))}")
        wanted = {name: comparison.only(options.losses) for name, comparison in wanted.items()}
    for name, comparison in wanted.items():
        run(name, comparison, options.scale, options)


if __name__ == "__main__":
    main()

"""The entry point of the command line: runs a command and answers errors with one line and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence

from autosurrogate.cli.parser import build_parser
from autosurrogate.errors import AutosurrogateError

INTERRUPTED = 130  # exit code
DISK_FULL = (
    "a file cannot be written: the disk or its quota is full; free some space and run the command again. "
    "A fit keeps its trials: continue it with --resume and the folder of its run"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 2 wrong input, 3 quality too low, 130 interrupted."""
    options = build_parser().parse_args(argv)
    try:
        # Only the module of this command is imported, so that commands that need no torch start quickly.
        command = importlib.import_module(f"autosurrogate.cli.commands.{options.command}")
        code: int = command.run(options)
        sys.stdout.flush()
    except AutosurrogateError as e:
        print(f"autosurrogate: {' '.join(str(e).split())}", file=sys.stderr)
        return e.exit_code
    except KeyboardInterrupt as e:
        print(f"autosurrogate: {e}" if str(e) else "autosurrogate: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # as of `autosurrogate inspect LOSS --json | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as e:
        if not _is_disk_full(e):
            raise
        print(f"autosurrogate: {DISK_FULL}", file=sys.stderr)
        return AutosurrogateError.exit_code
    return code


def _is_disk_full(error: Exception) -> bool:
    """Whether a file could not be written completely; torch and safetensors raise errors of their own for it."""
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, OSError) and error.errno in numbers:
        return True
    return any(text in str(error) for text in ("PytorchStreamWriter", *map(os.strerror, numbers)))


if __name__ == "__main__":
    sys.exit(main())

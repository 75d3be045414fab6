from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import autosurrogate
from autosurrogate.cli import commands, main
from autosurrogate.cli.parser import build_parser


def test_every_command_has_a_module() -> None:
    (subparsers,) = (action for action in build_parser()._actions if isinstance(action.choices, dict))
    assert sorted(subparsers.choices) == sorted(module.name for module in pkgutil.iter_modules(commands.__path__))


def test_the_parser_is_built_without_torch_and_without_a_command() -> None:
    code = (
        "import sys\nfrom autosurrogate.cli.parser import build_parser\nbuild_parser()\n"
        "raise SystemExit(any(name == 'torch' or name.startswith('autosurrogate.cli.c') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"autosurrogate {autosurrogate.__version__}\n"

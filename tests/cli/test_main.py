"""The command line from outside: what it prints, what it refuses, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import program
import pytest

from autosurrogate.cli import main
from autosurrogate.export import reader
from autosurrogate.export.metadata import SCHEMA_VERSION
from autosurrogate.points import metric_calls
from autosurrogate.registry.lookup import find

BAD_METRICS = """
import numpy as np

from autosurrogate import metric


@metric("raising", task="classification", set_size=16)
def raising(preds, target):
    raise KeyError("no such\\nclass")


@metric("not_a_number", task="classification", set_size=16)
def not_a_number(preds, target):
    return float("nan")


@metric("text", task="classification", set_size=16)
def text(preds, target):
    return "good"


@metric("constant", task="classification", set_size=16)
def constant(preds, target):
    return 0.5


@metric("slow", task="classification", level="sample")
def slow(preds, target):
    import time

    time.sleep(0.2)
    return float(preds == target)


def undeclared(preds, target):
    return 0.0
"""
CLASSES = {"preds": np.zeros((8, 3), np.float32), "target": np.zeros(8, np.int64)}
BAD_OUTPUTS = {
    "no_target": {"preds": CLASSES["preds"]},
    "shape": {**CLASSES, "preds": np.zeros((8, 3, 2), np.float32)},
    "dtype": {**CLASSES, "target": np.zeros(8, np.float32)},
    "nan": {**CLASSES, "preds": np.full((8, 3), np.nan, np.float32)},
    "pickled": {**CLASSES, "preds": np.array([[1, 2], [3]] * 4, dtype=object)},
    "few": {**CLASSES},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with what the arguments of the tests name."""
    program.write(tmp_path / "small.toml", program.SPACE)
    program.write(tmp_path / "key.toml", program.SPACE.replace("width", "widht"))
    program.write(tmp_path / "empty.toml", program.SPACE.replace("0.1\n", "{ low = 0.2, high = 0.1 }\n"))
    program.write(tmp_path / "bad.py", BAD_METRICS)
    program.write(tmp_path / "broken.py", "import no_such_library\n")
    for name, arrays in BAD_OUTPUTS.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
    program.write(tmp_path / "bad.json", "{}")
    program.write(tmp_path / "few.txt", "a\n\nb\n")
    (tmp_path / "there.pt").write_text("mine")
    (tmp_path / "beside.pt2").write_text("mine")
    (tmp_path / "a_folder.pt").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listing(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


FIT = "fit --metric accuracy --space small.toml --trials 1"
REFUSED = {
    # metrics
    "fit --metric blue": r"unknown metric 'blue'; did you mean 'bleu'",
    # vocabularies
    "fit --metric chrf --tokenizer none.txt": r"--tokenizer .*none\.txt: cannot be read: No such file",
    "fit --metric chrf --tokenizer none.json": r"--tokenizer .*none\.json: cannot be read: No such file",
    "fit --metric accuracy --tokenizer small.toml": r"is for metrics of sequences; 'accuracy' is of classification",
    "check chrf --tokenizer bad.json": r"--tokenizer .*bad\.json: is not a file of the tokenizers library",
    "fit --metric chrf --tokenizer few.txt": r"few\.txt: has 2 tokens that spell something, of 3; expected a tokenizer",
    "fit --metric mine.py:gleu": r"there is no file .*mine\.py",
    "fit --metric bad.py:rasing": r"bad\.py has no function 'rasing': .*did you mean 'raising'\?",
    "fit --metric bad.py:undeclared": r"is not declared as a metric: put @autosurrogate\.metric\(",
    "fit --metric broken.py:any": r"broken\.py cannot be loaded \(line 1\): ModuleNotFoundError",
    "fit": r"needs --metric SPEC \(see `autosurrogate metrics`\), or --resume RUN_DIR",
    # metrics that do not work, found by a few calls
    "fit --metric bad.py:raising": r"4 of 4 points \(100%\) are dropped, .*: 4 raised; .*: KeyError: 'no",
    "fit --metric bad.py:not_a_number": r"4 of 4 points \(100%\) are dropped, .*: 4 nan; for example: returned nan",
    "fit --metric bad.py:text": r"returned no number on 4 of 4 points: it returned str 'good'; return a float",
    "fit --metric bad.py:constant": r"metric 'constant' is constant: 0\.5 on all \d+ points",
    "fit --metric bad.py:slow --budget 30s": r"metric 'slow': is too slow for the budget of 30 s: a call takes 0\.",
    # recorded outputs
    f"{FIT} --outputs no_target.npz": r"no_target\.npz: has no array 'target', only preds",
    f"{FIT} --outputs shape.npz": r"shape\.npz: preds must have shape \(n, n_classes\), got \(8, 3, 2\)",
    f"{FIT} --outputs dtype.npz": r"dtype\.npz: target must have a dtype of kind integer, got float32",
    f"{FIT} --outputs nan.npz": r"nan\.npz: preds has NaN in 8 of 8 rows",
    f"{FIT} --outputs pickled.npz": r"pickled\.npz: preds holds Python objects, which are never unpickled",
    f"{FIT} --outputs few.npz": r"few\.npz: has too few rows for a fit and its test: 8 of 1 source\(s\); "
    r"it takes about 1,280 rows of one source, for sets of 128",
    f"{FIT} --outputs none.npz": r"none\.npz: no such file",
    # options
    "fit --metric accuracy --space key.toml": r"key\.toml: unknown key \S+\.margin\.widht: expected .* mean 'width'\?",
    "fit --metric accuracy --space empty.toml": r"empty\.toml: \[training\] penalty is an empty range: low = 0\.2",
    "fit --metric accuracy --space none.toml": r"none\.toml: cannot read the search space: No such file",
    f"{FIT} --device cuda:99": r"--device cuda:99: does not exist; torch sees \d+ CUDA devices",
    f"{FIT} --device gpu": r"--device gpu: is not a device; expected auto, cpu, cuda or cuda:N",
    f"{FIT} --budget soon": r"--budget soon: is not a duration; expected seconds or units such as 90s, 5m, 1h30m",
    f"{FIT} --budget 2s": r"--budget 2s: is too short; a fit needs 5s or more",
    f"{FIT} --trials 0": r"--trials 0: must be 1 or more",
    f"{FIT} --workers 0": r"--workers 0: must be 1 or more",
    f"{FIT} --trials -3": r"--trials -3: must be 1 or more",
    f"{FIT} --seed -1": r"--seed -1: must be 0 or more",
    f"{FIT} --random-share 0.5": r"--random-share: needs recorded outputs; add --outputs FILE",
    f"{FIT} --random-share 1.5 --outputs few.npz": r"--random-share 1\.5: is a probability, from 0 to 1",
    # where to write
    f"{FIT} --out nowhere/a.pt": r"--out .*a\.pt: cannot be written: there is no folder .*nowhere; create it first",
    f"{FIT} --out a_folder.pt": r"--out .*a_folder\.pt: is a folder; name a file, such as .*/loss\.pt",
    f"{FIT} --out there.pt": r"--out .*there\.pt: exists already; choose another name, or pass --overwrite",
    f"{FIT} --out beside.pt": r"--out .*beside\.pt2: exists already",
    f"{FIT} --out a.pth": r"--out .*a\.pth: must end in \.pt, as in --out .*a\.pt",
    f"{FIT} --out bad.py/a.pt": r"--out .*a\.pt: cannot be written: (there is no folder|Not a directory)",
    f"{FIT} --out {'x' * 300}.pt": r"--out .*: cannot be written: File name too long",
    f"{FIT} --run-dir a_folder.pt/../..": r"--run-dir .*: is not empty; choose another",
    f"{FIT} --run-dir bad.py": r"--run-dir bad\.py: cannot be created: (File exists|Not a directory)",
    # resuming
    "fit --resume .": r"--resume \.: is not the folder of a run \(no readable config\.json in it\)",
    "fit --resume nowhere": r"--resume nowhere: is not the folder of a run",
    "fit --resume . --metric bleu --seed 0": r"fit: --resume takes the options of its run; leave out --metric, --seed",
    "fit --resume . --random-share 0.5": r"leave out --random-share",
    # losses
    "inspect nothing.pt": r"nothing\.pt: no such file; expected a loss written by `autosurrogate fit`",
    "inspect a_folder.pt": r"a_folder\.pt: is a folder; expected a loss",
    "inspect there.pt": r"there\.pt: is not a loss written by `autosurrogate fit`",
    "evaluate there.pt --outputs few.npz": r"there\.pt: is not a loss written by `autosurrogate fit`",
}


@pytest.mark.parametrize("arguments", REFUSED, ids=lambda a: a.replace(FIT, "FIT")[:60])
@pytest.mark.slow
def test_bad_input_is_one_line_before_anything_starts(
    arguments: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(folder)
    assert main.main(arguments.split()) == 2
    printed = capsys.readouterr()
    assert re.search(REFUSED[arguments], printed.err)
    assert re.fullmatch(r"autosurrogate: .*\n", printed.err)
    assert all(line.startswith(("run in ", "calibrating ")) for line in printed.out.splitlines())
    assert listing(folder) == before


@pytest.mark.slow
def test_a_refusal_as_a_process_is_the_same(folder: Path) -> None:
    before = listing(folder)
    done = program.run("fit", "--metric", "bad.py:raising", "--quiet", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"autosurrogate: metric 'raising': .*\n", done.stderr)
    assert listing(folder) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("fitt", "invalid choice: 'fitt'"),
        ("fit --metric accuracy --trials many", "argument --trials: invalid int value: 'many'"),
        ("fit --metric accuracy --objective best", "argument --objective: invalid choice: 'best'"),
        ("evaluate a.pt", "the following arguments are required: --outputs"),
    ],
)
def test_what_argparse_refuses_is_wrong_input_too(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(arguments.split())
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


def test_help_and_listing_do_without_torch(tmp_path: Path) -> None:
    watch = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))\n"
        "from autosurrogate.cli import main\n"
        "sys.exit(main())\n"
    )
    for arguments in (["--help"], ["--version"], ["fit", "--help"], ["metrics"], ["fitt"]):
        done = subprocess.run(
            [sys.executable, "-c", watch, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.stderr.splitlines()[-1] == "False", arguments


def test_metrics_are_listed_with_all_that_matters(tmp_path: Path) -> None:
    done = program.run("metrics", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
    assert rows["metric"] == ["task", "level", "better", "source", "loss"]
    assert rows["accuracy"][:6] == ["classification", "set", "of", "128", "higher", "numpy"]
    assert rows["bleu"][:4] == ["sequence", "sample", "higher", "sacrebleu"]
    assert 85 <= float(rows["f1"][-1]) <= 100  # the ready loss's
    assert "  pck: threshold=0.05, normaliser=size\n" in done.stdout
    assert max(len(line.rstrip()) for line in done.stdout.split("Parameters")[0].splitlines()) <= 80  # of a terminal
    assert "--metric sklearn:f1_macro" in done.stdout
    assert "Of installed packages" not in done.stdout  # for there is none
    assert "Metrics that depend on how tokens are spelled (such as chrf) need --tokenizer FILE." in done.stdout


def test_metrics_of_installed_packages_are_listed_without_importing_them(tmp_path: Path) -> None:
    about = tmp_path / "shipping_metrics-2.1.dist-info"
    program.write(about / "METADATA", "Metadata-Version: 2.1\nName: shipping-metrics\nVersion: 2.1\n")
    program.write(about / "entry_points.txt", "[autosurrogate.metrics]\nglue = no_such_module:glue\n")
    done = program.run("metrics", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Of installed packages:\n  glue: shipping-metrics\n" in done.stdout


@pytest.mark.slow
def test_fit_prints_progress_as_plain_lines_and_a_table(fitted: Path) -> None:
    text = (fitted / "fit.txt").read_text()
    assert "\x1b" not in text
    patterns = [
        r"run in runs/accuracy-\d{8}-\d{6}$",
        r"labelling  1,152 of 1,152 points  [\d,]+ points/s$",
        r"labelled [\d,]+ points to search with$",
        r"trial \d  best validation Spearman \d+\.\d  regular loss \d+\.\d  \d+ s left$",
        r"per cent +Spearman +95 % CI +Kendall +95 % CI +points$",
        r"  accuracy loss( +\d+\.\d +\d+\.\d to \d+\.\d){2} +288$",
        r"  regular loss( +\d+\.\d +\d+\.\d to \d+\.\d){2} +288$",
        r"worst stratum +[\w ]+: Somers' D -?\d+\.\d, regular loss -?\d+\.\d \(\d+ held-out generated points\)$",
        r"descent check +metric improves by \S+ along regular loss \+ ([\d.]+ \* )?loss, by \S+ along the regular loss "
        r"alone \(\d+ points moved by a distance of \S+\)$",
        r"network +margin \(.*\), [\d,]+ parameters$",
        r"written +accuracy\.pt  \d+ KiB$",
        r"written +accuracy\.pt2  \d+ KiB$",
        r"import torch\nloss_fn = torch\.jit\.load\('accuracy\.pt'\)$",
        r"loss = regular_loss \+ ([\d.]+ \* )?loss_fn\(logits, ",
    ]
    place = 0
    for pattern in patterns:
        found = re.compile(pattern, re.MULTILINE).search(text, place)
        assert found, (pattern, text)
        place = found.start()


@pytest.mark.slow
def test_an_existing_loss_is_replaced_on_request_alone_and_quietly(
    fitted: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path / "accuracy.pt"
    out.write_text("mine")
    mine = program.write(tmp_path_factory.mktemp("metric") / "mine.py", SMALL_METRIC)
    spec, space = f"{mine}:accuracy", fitted / "small.toml"
    arguments = ["fit", "--metric", spec, "--space", space, "--trials", 1, "--budget", "10s", "--out", out]
    assert program.run(*arguments, cwd=tmp_path).returncode == 2
    assert out.read_text() == "mine"
    done = program.run(*arguments, "--overwrite", "--quiet", "--run-dir", tmp_path / "run", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert program.load(out).sign.ndim == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["accuracy.pt", "accuracy.pt2", "run"]


@pytest.mark.slow
def test_inspect_shows_what_fit_showed(fitted: Path) -> None:
    shown = program.run("inspect", "accuracy.pt", cwd=fitted)
    assert (shown.returncode, shown.stderr) == (0, "")
    printed = (fitted / "fit.txt").read_text()
    for line in shown.stdout.splitlines()[1:-1]:
        assert line in printed
    metadata = json.loads(program.run("inspect", "accuracy.pt", "--json", cwd=fitted).stdout)
    assert (metadata["metric"], metadata["task"], metadata["level"]) == ("accuracy", "classification", "set")
    assert metadata["higher_is_better"] is True
    held_out = metadata["quality"]["held_out_generated"]
    assert {row["set_size"] for row in held_out["by_set_size"]} <= set(metric_calls.set_sizes(find("accuracy")))
    assert held_out["loss"]["spearman"] > held_out["regular_loss"]["spearman"]
    assert metadata["labelled_points"] == {"n_points": 30 * 48, "n_dropped": 0, "dropped": {}, "example": None}
    assert metadata["versions"].keys() == {"python", "autosurrogate", "torch", "optuna", "numpy"}


def test_inspect_prints_json_that_every_program_reads(
    fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loss, metadata = reader.load(fitted / "accuracy.pt")
    held_out = metadata.quality.held_out_generated
    row = replace(held_out.by_set_size[0], regular_loss_spearman=float("nan"))  # of sets on which it is constant
    held_out = replace(held_out, by_set_size=(row, *held_out.by_set_size[1:]))
    metadata = replace(metadata, quality=replace(metadata.quality, held_out_generated=held_out))
    loss.save(str(tmp_path / "loss.pt"), _extra_files={"metadata.json": metadata.to_json()})
    assert main.main(["inspect", str(tmp_path / "loss.pt"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert shown["schema_version"] == SCHEMA_VERSION
    assert shown["quality"]["held_out_generated"]["by_set_size"][0]["regular_loss_spearman"] is None


def test_the_program_beside_a_loss_is_not_what_inspect_takes(fitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["inspect", str(fitted / "accuracy.pt2")]) == 2
    assert re.search(r"accuracy\.pt2: is not a loss .*; pass .*accuracy\.pt\n", capsys.readouterr().err)


@pytest.mark.skipif(os.name != "posix", reason="there is no other terminal to be had")
@pytest.mark.slow
def test_in_a_terminal_nothing_is_cut(fitted: Path) -> None:
    import fcntl
    import pty
    import struct
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
    environment = {**program.ENVIRONMENT, "TERM": "xterm"}
    del environment["COLUMNS"]
    with subprocess.Popen(
        program.command("inspect", "accuracy.pt"), cwd=fitted, env=environment, stdin=follower, stdout=follower,
        stderr=follower,
    ) as process:  # fmt: skip
        os.close(follower)
        text = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            text += part
    os.close(leader)
    assert process.returncode == 0
    lines = re.sub(r"\x1b\[[\d;]*m", "", text.decode()).split("\r\n")
    assert max(map(len, lines)) <= 80
    assert "…" not in text.decode()
    assert any(re.match(r"  accuracy loss( +\d+\.\d +\d+\.\d to \d+\.\d){2} +288$", line) for line in lines)


@pytest.mark.skipif(os.name != "posix", reason="a pipe ends in other ways elsewhere")
@pytest.mark.slow
def test_a_reader_that_has_had_enough_is_no_error_to_tell(fitted: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        program.command("inspect", "accuracy.pt", "--json"), cwd=fitted, env=program.ENVIRONMENT, stdout=writer,
        stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(os.name != "posix", reason="a limit on the size of files stands for a full disk")
@pytest.mark.parametrize("arguments", ["export accuracy", "fit --metric accuracy --space small.toml --trials 1"])
@pytest.mark.slow
def test_a_full_disk_is_told_and_what_there_was_is_kept(arguments: str, tmp_path: Path) -> None:
    import resource

    program.write(tmp_path / "small.toml", program.SPACE)
    (tmp_path / "accuracy.pt").write_bytes(b"old")
    done = subprocess.run(
        program.command(*arguments.split(), "--overwrite"), cwd=tmp_path, env=program.ENVIRONMENT, capture_output=True,
        text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (24_000, 24_000)), check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert re.fullmatch(r"autosurrogate: a file cannot be written: the disk or its quota is full; .*\n", done.stderr)
    assert (tmp_path / "accuracy.pt").read_bytes() == b"old"
    assert not list(tmp_path.glob(".*"))


# Of sets so small that a fit is quick.
SMALL_METRIC = """
import numpy as np

from autosurrogate import metric


@metric("accuracy", task="classification", set_size=16)
def accuracy(preds: np.ndarray, target: np.ndarray) -> float:
    return float((preds == target).mean())
"""
LONG_SPACE = program.SPACE.replace("n_steps = 60", "n_steps = [60, 100]")
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    program.write(tmp_path / "small.toml", LONG_SPACE)

    def started(*arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            program.command("fit", "--space", "small.toml", "--run-dir", "run", *arguments),
            cwd=tmp_path, env=program.ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return started


def until(process: subprocess.Popen[str], beginning: str) -> None:
    """Read lines until one begins like this."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(beginning):
            return
    raise AssertionError(f"ended without {beginning!r}: {process.stderr.read() if process.stderr else ''}")


@pytest.mark.slow
def test_ctrl_c_exports_the_best_so_far_and_a_second_one_ends_at_once(start: Start, tmp_path: Path) -> None:
    program.write(tmp_path / "mine.py", SMALL_METRIC)
    process = start("--metric", "mine.py:accuracy", "--budget", "10m")
    until(process, "trial ")
    process.send_signal(signal.SIGINT)
    until(process, "interrupted: exporting the best loss so far; Ctrl-C again ends at once")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (
        130,
        "autosurrogate: interrupted; go on with: autosurrogate fit --resume run\n",
    )
    assert not list(tmp_path.glob("*.pt*"))
    assert not list(tmp_path.glob(".*"))

    process = subprocess.Popen(
        program.command("fit", "--resume", "run", "--force"), cwd=tmp_path, env=program.ENVIRONMENT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(process, "trial ")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "interrupted: exporting the best loss so far" in out
    assert "loss_fn = torch.jit.load('accuracy.pt')" in out
    assert program.load(tmp_path / "accuracy.pt").sign.abs() == 1


@pytest.mark.slow
def test_ctrl_c_with_nothing_to_export_leaves_nothing(start: Start, tmp_path: Path) -> None:
    program.write(tmp_path / "bad.py", BAD_METRICS.replace("0.2", "0.02"))  # calibration takes it seconds
    process = start("--metric", "bad.py:slow", "--budget", "10m")
    until(process, "calibrating ")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "autosurrogate: interrupted\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.py", "small.toml"]

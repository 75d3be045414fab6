from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from autosurrogate import metric
from autosurrogate.errors import LabellingError, MetricError, OptionError
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.labels import check_labels
from autosurrogate.labelling.outcomes import Problem
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric

# What `preds` says is done; the file is loaded by path, here and in the workers.
OBEY = """
    import ctypes, os, signal, subprocess, sys, time
    from autosurrogate import metric

    @metric("obey", task="classification", level="sample")
    def obey(preds, target):
        if preds == "sleep":
            time.sleep(60)
        if preds == "nap":
            time.sleep(0.05)
            return 0
        if preds == "hang":  # with the interpreter's lock held, and deaf
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
            ctypes.PyDLL(None).sleep(60)
        if preds == "hang and write":
            open(target, "a").write(f"{os.getpid()} ")
            obey("hang", None)
        if preds == "sleep and write":
            child = subprocess.Popen(["sleep", "60"])
            open(target, "a").write(f"{os.getpid()} {child.pid} ")
            time.sleep(60)
        if preds == "exit":
            os._exit(1)
        if preds == "fork and exit":
            if os.fork() == 0:
                time.sleep(60)
            os._exit(1)
        if preds == "segfault":
            ctypes.string_at(0)
        if preds == "raise":
            raise ValueError("no such word")
        if preds == "print":
            print("printed")
            print("printed", file=sys.stderr)
            os.system("echo printed; echo printed >&2")
            return float(len(sys.stdin.read()))
        if preds == "pid":
            return os.getpid()
        if preds == "torch":
            return "torch" in sys.modules
        if preds == "threads":
            return int(os.environ["OMP_NUM_THREADS"])
        return preds
"""


def write(path: Path, source: str) -> Path:
    path.write_text(textwrap.dedent(source))
    return path


@pytest.fixture(scope="module")
def obey(tmp_path_factory: pytest.TempPathFactory) -> Metric:
    return find(f"{write(tmp_path_factory.mktemp('metrics') / 'my_metrics.py', OBEY)}:obey")


@pytest.fixture(scope="module")
def labeller(obey: Metric) -> Iterator[Labeller]:
    with Labeller(obey, n_workers=2, timeout_s=0.5) as labeller:
        yield labeller


def points(*preds: object) -> list[tuple[object, None]]:
    return [(p, None) for p in preds]


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # a dead one may wait for its reaper


def assert_gone(pids: list[int], within_s: float) -> None:
    since = time.monotonic()
    while any(map(is_alive, pids)):
        assert time.monotonic() - since < within_s, f"{[pid for pid in pids if is_alive(pid)]} live on"
        time.sleep(0.02)


def wait_for_pids(file: Path, n: int) -> list[int]:
    since = time.monotonic()
    while not file.exists() or len(file.read_text().split()) < n:
        assert time.monotonic() - since < 20
        time.sleep(0.02)
    return [int(pid) for pid in file.read_text().split()]


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.mark.slow
def test_labels_that_are_waited_for_come_before_those_that_were_submitted(obey: Metric) -> None:
    with Labeller(obey, n_workers=1, timeout_s=5) as labeller:
        pending = labeller.submit(points(*["nap"] * 40))
        assert labeller.label(points(2.0)).values == [2.0]
        assert not pending.done()
        assert pending.result().problems == []


def test_values_are_those_of_serial_calls_in_order():
    bleu = find("bleu")
    rng = np.random.default_rng(0)
    sentences = [" ".join(map(str, rng.integers(0, 9, rng.integers(1, 12)))) for _ in range(3000)]
    pairs = list(itertools.pairwise(sentences))
    with Labeller(bleu, n_workers=2) as labeller:
        jobs = [labeller.submit(pairs[start : start + 700]) for start in range(0, len(pairs), 700)]
        labels = [job.result() for job in jobs]
    assert np.concatenate([part.values for part in labels]).tolist() == [bleu.function(*pair) for pair in pairs]
    assert all(part.values.dtype == np.float64 and part.seconds > 0 for part in labels)
    assert [job.n_done for job in jobs] == [700, 700, 700, 700, 199]


def test_nothing_to_do_is_done_at_once(labeller):
    labels = labeller.label([])
    assert (labels.values.shape, labels.problems) == ((0,), [])


def test_submit_returns_while_the_workers_run(labeller):
    since = time.monotonic()
    job = labeller.submit(points("sleep"))
    assert time.monotonic() - since < 0.2
    assert not job.done()
    assert job.result().problems[0].kind == "timeout"


def test_workers_are_several_have_one_thread_and_no_torch(labeller):
    pids = labeller.label(points(*["pid"] * 200)).values
    assert os.getpid() not in pids
    assert len(set(pids)) <= 2
    assert labeller.label(points("threads", "torch")).values.tolist() == [1.0, 0.0]


@pytest.mark.slow
def test_only_guilty_points_are_dropped_and_each_is_told(labeller, obey):
    words: list[object] = [float(i) for i in range(60)]
    words[3], words[11], words[20], words[21] = "raise", float("nan"), "a word", "sleep"
    words[30], words[31], words[45], words[59] = "exit", "hang", "segfault", "exit"
    labels = labeller.label(points(*words))
    kept = [word if isinstance(word, float) else np.nan for word in words]
    np.testing.assert_array_equal(labels.values, kept)
    line = OBEY.splitlines().index('            raise ValueError("no such word")') + 1
    assert labels.problems == [
        Problem("raised", f"ValueError: no such word ({obey.source}:{line})"),
        Problem("nan", "returned nan"),
        Problem("not a number", "returned str 'a word'"),
        Problem("timeout", f"took longer than 0.5 s ({obey.source}:8)"),
        Problem("crashed", "the process ended: exit code 1"),
        Problem("timeout", "took longer than 0.5 s and could not be interrupted"),
        Problem("crashed", "the process ended: signal SIGSEGV"),
        Problem("crashed", "the process ended: exit code 1"),
    ]


def test_a_crash_is_seen_though_a_forked_process_lives_on(labeller):
    assert [problem.kind for problem in labeller.label(points("fork and exit", 1.0)).problems] == ["crashed"]


def test_a_crash_does_not_touch_other_jobs(labeller):
    jobs = [labeller.submit(points(*words)) for words in ([1.0] * 40, ["exit"], [2.0] * 40, ["exit", 3.0])]
    assert jobs[0].result().values.tolist() == [1.0] * 40
    assert jobs[2].result().values.tolist() == [2.0] * 40
    assert jobs[3].result().values[1] == 3.0
    assert [len(job.result().problems) for job in jobs] == [0, 1, 0, 1]


@pytest.mark.parametrize("word", ["exit", "sleep"])
@pytest.mark.slow
def test_a_metric_that_mostly_costs_time_is_not_waited_for(obey, word):
    since = time.monotonic()
    with Labeller(obey, n_workers=2, timeout_s=0.02) as labeller:
        job = labeller.submit(points(*[word, word, 1.0] * 2000))
        with pytest.raises(LabellingError, match=r"metric 'obey': 2\d of \d+ points \(\d+%\) are dropped, at most 20%"):
            job.result()
        assert labeller.label(points(1.0, 2.0)).values.tolist() == [1.0, 2.0]
    assert time.monotonic() - since < 20


def test_closing_ends_workers_their_children_and_open_jobs_at_once(obey, tmp_path):
    since = time.monotonic()
    with Labeller(obey, n_workers=2, timeout_s=60) as labeller:
        job = labeller.submit([("sleep and write", str(tmp_path / "pids"))] * 2)
        pids = wait_for_pids(tmp_path / "pids", 4)
        closing = time.monotonic()
    assert time.monotonic() - closing < 1
    assert time.monotonic() - since < 20
    assert_gone(pids, within_s=1)
    with pytest.raises(LabellingError, match="metric 'obey': labelling was stopped before it was done"):
        job.result()
    with pytest.raises(LabellingError, match="was stopped"):
        labeller.label(points(1.0))
    labeller.close()


PARENT = """
    import sys
    from autosurrogate.labelling.labeller import Labeller
    from autosurrogate.registry.lookup import find

    with Labeller(find("my_metrics.py:obey"), n_workers=2, timeout_s=float(sys.argv[3])) as labeller:
        labeller.label([(sys.argv[1], sys.argv[2])] * 2)
"""


def start_parent(tmp_path: Path, word: str, timeout_s: float) -> subprocess.Popen[str]:
    write(tmp_path / "my_metrics.py", OBEY)
    script = write(tmp_path / "parent.py", PARENT)
    command = [sys.executable, script, word, str(tmp_path / "pids"), str(timeout_s)]
    return subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.parametrize(("word", "n_processes", "timeout_s"), [("sleep and write", 4, 60), ("hang and write", 2, 0.5)])
@pytest.mark.slow
def test_workers_do_not_survive_a_killed_parent(tmp_path, word, n_processes, timeout_s):
    with start_parent(tmp_path, word, timeout_s) as parent:
        pids = wait_for_pids(tmp_path / "pids", n_processes)
        parent.kill()
        parent.wait()
        assert_gone(pids, within_s=3)


@pytest.mark.slow
def test_ctrl_c_ends_the_workers_without_a_word_from_them(tmp_path):
    with start_parent(tmp_path, "sleep and write", 60) as parent:
        pids = wait_for_pids(tmp_path / "pids", 4)
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
        _, stderr = parent.communicate(timeout=10)
    assert_gone(pids, within_s=1)
    assert stderr.count("Traceback") == 1
    assert stderr.endswith("KeyboardInterrupt\n")


@pytest.mark.slow
def test_a_labeller_that_is_never_closed_does_not_keep_the_interpreter(tmp_path):
    write(tmp_path / "my_metrics.py", OBEY)
    script = """
        from autosurrogate.labelling.labeller import Labeller
        from autosurrogate.registry.lookup import find
        labeller = Labeller(find("my_metrics.py:obey"), n_workers=2)
        print(*map(int, labeller.label([("pid", None)] * 9).values))
        labeller.submit([("sleep", None)])
        """
    done = run("-c", textwrap.dedent(script), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert_gone([int(pid) for pid in done.stdout.split()], within_s=2)


@pytest.mark.slow
def test_what_a_metric_prints_does_not_reach_the_terminal(tmp_path):
    write(tmp_path / "my_metrics.py", "print('printed on import')\n" + textwrap.dedent(OBEY))
    script = """
        import contextlib, io
        from autosurrogate.labelling.labeller import Labeller
        from autosurrogate.registry.lookup import find
        with contextlib.redirect_stdout(io.StringIO()):
            obey = find("my_metrics.py:obey")
        with Labeller(obey, n_workers=1) as labeller:
            print(labeller.label([("print", None)] * 3).values)
        """
    done = run("-c", textwrap.dedent(script), cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("[0. 0. 0.]\n", "")


UNGUARDED = """
    from autosurrogate.labelling.labeller import Labeller
    from autosurrogate import metric
    from autosurrogate.registry import find
    from neighbour import scale

    half = 0.5

    @metric("scaled", task="sequence", level="sample", view="tokens")
    def scaled(preds: list, target: list) -> float:
        return scale * half * len(preds)

    with Labeller(find(scaled), n_workers=2) as labeller:
        print(labeller.label([([1] * n, [1]) for n in range(1, 5)]).values)
"""


@pytest.mark.slow
def test_a_metric_of_an_unguarded_script_works_in_workers(tmp_path):
    write(tmp_path / "neighbour.py", "scale = 2")
    done = run(write(tmp_path / "script.py", UNGUARDED), cwd=tmp_path.parent)
    assert (done.stdout, done.stderr) == ("[1. 2. 3. 4.]\n", "")


@pytest.mark.slow
def test_a_metric_given_on_the_command_line_works_in_workers(tmp_path):
    write(tmp_path / "neighbour.py", "scale = 2")
    done = run("-c", textwrap.dedent(UNGUARDED), cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("[1. 2. 3. 4.]\n", "")


@pytest.mark.slow
def test_a_metric_of_a_module_of_the_scripts_folder_works_in_workers(tmp_path):
    write(tmp_path / "neighbour.py", OBEY)
    script = """
        from autosurrogate.labelling.labeller import Labeller
        from autosurrogate.registry.lookup import find
        from neighbour import obey
        with Labeller(find(obey), n_workers=1) as labeller:
            print(labeller.label([(0.5, None)]).values)
        """
    done = run(write(tmp_path / "script.py", script), cwd=tmp_path.parent)
    assert (done.stdout, done.stderr) == ("[0.5]\n", "")


def test_a_metric_that_the_workers_cannot_load_is_told(tmp_path):
    file = write(tmp_path / "gone.py", OBEY)
    found = find(f"{file}:obey")
    file.unlink()
    with Labeller(found, n_workers=2) as labeller:
        with pytest.raises(
            LabellingError, match=r"metric 'obey' cannot be loaded in a worker process: MetricError: .*gone\.py"
        ):
            labeller.label(points(1.0))
        with pytest.raises(LabellingError, match="cannot be loaded"):
            labeller.submit(points(1.0)).result()


def test_a_file_that_ends_the_worker_is_told(tmp_path):
    guard = f"import os\nif os.getpid() != {os.getpid()}: os._exit(3)\n"
    file = write(tmp_path / "shy.py", guard + textwrap.dedent(OBEY))
    with Labeller(find(f"{file}:obey"), n_workers=2) as labeller:
        with pytest.raises(LabellingError, match=r"ended while it loaded the metric \(exit code 3\)"):
            labeller.label(points(1.0))


def test_a_function_that_cannot_be_sent_is_told():
    lock = threading.Lock()

    @metric("holds_a_lock", task="classification")
    def holds_a_lock(preds, target):
        return lock.locked()

    with pytest.raises(MetricError, match="cannot be sent to another process"):
        Labeller(find(holds_a_lock))


def test_points_that_cannot_be_pickled_fail_their_job_alone(labeller):
    bad, good = labeller.submit(points(1.0, lambda: None)), labeller.submit(points(2.0))
    with pytest.raises(LabellingError, match="points cannot be pickled"):
        bad.result()
    assert good.result().values.tolist() == [2.0]


@pytest.mark.parametrize("options", [{"n_workers": 0}, {"timeout_s": 0.0}, {"timeout_s": float("nan")}])
def test_options_that_make_no_sense_are_refused(obey, options):
    with pytest.raises(OptionError, match=f"{next(iter(options))} must be"):
        Labeller(obey, **options)


def check(obey: Metric, values: list[float], problems: list[Problem]) -> None:
    check_labels(obey, np.array(values), problems)


def test_few_problems_pass(obey):
    check(obey, [0.1, 0.2, 0.3, 0.4, np.nan], [Problem("raised", "ValueError: odd")])


def test_many_problems_are_counted_by_kind_with_an_example_of_the_most_frequent(obey):
    problems = [Problem("nan", "returned nan"), Problem("raised", "ValueError: odd (a.py:1)")]
    with pytest.raises(LabellingError) as caught:
        check(obey, [0.1] * 4 + [np.nan] * 6, [problems[0], problems[1], problems[1], problems[0]] + problems[1:] * 2)
    assert str(caught.value) == (
        "metric 'obey': 6 of 10 points (60%) are dropped, at most 20% may be: 4 raised, 2 nan; for example: "
        "ValueError: odd (a.py:1); fix the function, or have it catch this and return a number"
    )


def test_no_number_at_all_has_its_own_message(obey):
    problems = [Problem("not a number", "returned list [0.1, 0.2]")] * 8
    with pytest.raises(LabellingError, match=r"'obey' returned no number on 8 of 8 points: it returned list \[0\.1, 0"):
        check(obey, [np.nan] * 8, problems)


@pytest.mark.parametrize("value", [0.0, -3.5, 1e-300])
def test_a_constant_has_its_own_message(obey, value):
    with pytest.raises(LabellingError, match=f"metric 'obey' is constant: {value:g} on all 8 points"):
        check(obey, [value] * 8 + [np.nan], [Problem("nan", "returned nan")])


def test_a_constant_may_show_rounding_and_a_few_points_prove_nothing(obey):
    with pytest.raises(LabellingError, match="is constant"):
        check(obey, [0.1 + 0.2, 0.3] * 4, [])
    check(obey, [1.0] * 7, [])
    check(obey, [1.0] * 8 + [1.0 + 1e-9], [])


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("raise", r"obey': 8 of 8 points \(100%\) are dropped, .*: 8 raised; for example: ValueError: no such word"),
        ("sleep", r"8 of 8 points .*: 8 timeout; for example: took longer than 0\.5 s \(.*my_metrics\.py:8\)"),
        (float("nan"), r"8 of 8 points .*: 8 nan; for example: returned nan"),
        ("a word", r"returned no number on 8 of 8 points: it returned str 'a word'; return a float"),
        (0.5, r"is constant: 0\.5 on all 8 points"),
    ],
)
@pytest.mark.slow
def test_eight_points_are_enough_to_refuse_a_metric(labeller, obey, word, message):
    labels = labeller.label(points(*[word] * 8))
    with pytest.raises(LabellingError, match=message):
        check_labels(obey, labels.values, labels.problems)

"""The lock that dies with its holder, and jobs that end with their workflow."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lazyrich.guard import _alive, end_with, exclusive

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow_scripts"

HOLD = """
import sys, time
from pathlib import Path
from lazyrich.guard import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""

HOLD_AND_START = """
import subprocess, sys, time
from pathlib import Path
from lazyrich.guard import exclusive
with exclusive(Path(sys.argv[1])) as lock:
    passed = (lock,) if sys.argv[2] == "inherited" else ()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=passed)
    print(child.pid, flush=True)
    time.sleep(60)
"""

WATCH = """
import sys, time
from lazyrich.guard import end_with
end_with(int(sys.argv[1]))
print("watching", flush=True)
time.sleep(60)
"""


@pytest.fixture
def start():
    started = []

    def run(code, *arguments):
        environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield run
    for process in started:
        process.kill()
        process.communicate()


def free(path):
    try:
        with exclusive(path, wait=0):
            return True
    except BlockingIOError:
        return False


def eventually(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_one_holder_at_a_time_and_released_at_the_end(tmp_path):
    path = tmp_path / "new" / "folder" / "x.lock"
    with exclusive(path):
        assert not free(path)  # another descriptor, as another process would have
    assert free(path)
    with pytest.raises(RuntimeError), exclusive(path):
        raise RuntimeError
    assert free(path)


def test_the_lock_of_a_killed_process_is_released(tmp_path, start):
    path = tmp_path / "x.lock"
    process, said = start(HOLD, path)
    assert said == "held" and not free(path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert free(path)


def test_waiting_ends_when_the_other_process_does(tmp_path, start, capsys):
    path = tmp_path / "x.lock"
    process, _ = start(HOLD, path)
    with pytest.raises(BlockingIOError), exclusive(path, wait=0.5):
        pass
    assert capsys.readouterr().err == f"waiting: another process is writing {tmp_path}\n"
    process.kill()
    with exclusive(path, wait=10):
        pass


@pytest.mark.parametrize("passed", ["inherited", "not inherited"])
def test_who_inherits_the_descriptor_holds_the_lock(tmp_path, start, passed):
    path = tmp_path / "x.lock"
    process, child = start(HOLD_AND_START, path, passed)
    process.kill()
    process.wait()
    try:
        assert free(path) == (passed == "not inherited")
    finally:
        os.kill(int(child), signal.SIGKILL)
    assert eventually(lambda: free(path))


def test_a_job_ends_with_its_workflow(start):
    workflow = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        job, said = start(WATCH, workflow.pid)
        assert said == "watching"
        time.sleep(0.7)
        assert job.poll() is None
    finally:
        workflow.kill()
    # Not waited for: a zombie counts as ended.
    assert job.wait(timeout=10) == 3
    assert f"process {workflow.pid}) is gone" in job.stderr.read()
    workflow.wait()


def test_without_a_workflow_nothing_watches():
    end_with(None)


def test_alive():
    assert _alive(os.getpid())
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert not _alive(process.pid)

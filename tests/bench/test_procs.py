import os
import subprocess
import sys

from bench import procs


def test_the_name_of_a_process_may_hold_anything():
    line = "7 (a) b) S 3 7 7 0 -1 0 0 0 0 0 100 50 20 30 20 0 1 0 5 1000 2 0"
    process = procs.parse_stat(line)
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    assert process == procs.Process(parent=3, cpu_s=200 / ticks, rss_bytes=2 * page)


def test_descendants_are_found_below_the_roots_only():
    tree = {pid: procs.Process(parent, 0, 0) for pid, parent in [(1, 0), (2, 1), (3, 2), (4, 1), (5, 4)]}
    assert procs.descendants([2, 9], tree) == {2, 3}
    assert procs.descendants([1], tree) == {1, 2, 3, 4, 5}


def test_cpu_and_memory_of_a_living_process():
    busy = [sys.executable, "-c", "sum(range(3_000_000)); print(1, flush=True); input()"]
    with subprocess.Popen(busy, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with procs.RssWatch([process.pid]) as watch:
            assert procs.cpu_s([process.pid]) > 0
        process.communicate(b"\n")
    assert 2 < watch.peak_one_mb <= watch.peak_sum_mb
    assert procs.wait_until_gone([process.pid], 1) == set()


def test_the_machine_was_busy_at_some_time():
    assert procs.machine_busy_s() > 0

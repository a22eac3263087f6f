from bench.profile import own_time, table

STACKS = """\
main (a.py:1);sign (b.py:2) 30
main (a.py:1);sign (b.py:2) 10
main (a.py:1) 60
thread;_worker (concurrent/futures/thread.py:69) 500
garbage
"""


def test_own_time_is_the_innermost_frames_and_not_the_waits():
    assert own_time(STACKS.splitlines()) == {"sign (b.py:2)": 40, "main (a.py:1)": 60}


def test_the_table_has_the_most_first():
    lines = table(own_time(STACKS.splitlines()), top=1).splitlines()
    assert lines[0].startswith("own time by function, 100 samples")
    assert lines[1].split() == ["60.0%", "main", "(a.py:1)"]
    assert len(lines) == 2

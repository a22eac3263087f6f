"""Endurance: a relay under everything at once for as long as wanted; nothing lost, nothing that grows.

``python -m bench.soak --minutes 10`` (``make soak MINUTES=10``) is the whole of it, see ``__main__``.

::

    plan.py     what happens when (pure)           scene.py     the relay, its receivers, its topic
    mails.py    what is sent, by whom (pure)       clients.py   those who send it
    abuse.py    those who do worse                 receiver.py  the receivers' moods, a process
    late.py     bounces that come back later       chores.py    the administrator's day
    watch.py    samples of every process           slope.py     what grows, and how surely (pure)
    room.py     what lies on the disk              promise.py   the ledgers compared (pure)
    deaths.py   kills and restarts                 run.py       all of it, in order
    report.py   the tables and the judgement
"""

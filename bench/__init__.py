"""Speed, measured: the relay against Postfix + OpenDKIM in one run on one machine.

``python -m bench`` runs both sides with the same load source, the same sink and the same messages, prints a
table for people, and as its last line one JSON object. Absolute figures drift from machine to machine and
from hour to hour; the ratio of two sides that took turns within one run is what counts.

::

    source.py   processes that submit mail            sink.py     the process that receives it
    content.py  what the messages look like           figures.py  percentiles and ratios (pure)
    procs.py    CPU and memory of process trees       machine.py  bare cost of a signature and an fsync
    postfix.py  Postfix + OpenDKIM, tuned             side.py     the relay
    round.py    one load on one side                  report.py   the table and the JSON
    profile.py  where the workers spend their time    proof.py    that both sides really sign
"""

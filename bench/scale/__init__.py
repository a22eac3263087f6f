"""What the relay is like when there is very much of something: waiting mail, sites, dead sites, campaigns.

Real relay processes, a receiver of our own for all addresses of 127.0.0.0/8, spools that are written in
advance with the spool's own code. See ``__main__`` for the parts and the bars.
"""

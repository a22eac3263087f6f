"""What outcomes mean, and who hears of them.

``classify`` decides for one recipient, ``settle`` turns an attempt's outcomes into one change, ``telling``
makes what is told of them: ``delay`` and ``hearing`` say who gets mail, ``bounce`` makes it, ``simulated``
what the simulator sends back, ``details`` the events. ``outcome_class`` and ``delay_type`` name a failure or
a delay of ours, ``bounce_class`` says what a refusal means for the address, by the words in ``bounce_texts``.
"""

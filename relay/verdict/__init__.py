"""What outcomes mean, and who hears of them.

``classify`` decides for one recipient, ``settle`` turns an attempt's outcomes into one change, ``delay``
says who hears that mail waits, ``bounce`` makes the message that tells the sender. ``bounce_class`` says what
a refusal means for the address, by the words in ``bounce_texts``.
"""

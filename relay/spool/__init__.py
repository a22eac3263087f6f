"""The promise: what is committed here survives a crash, and the 250 follows the commit.

``shard.Shard`` is the way in; ``views`` reads shards that someone else owns.
"""

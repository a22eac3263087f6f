"""What worker 0 looks after: records of identities in the DNS, watched over their life, and the letters to
their owners. ``roster`` joins them; each duty is a shell around the decisions of ``relay.directory``."""

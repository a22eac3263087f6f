"""The configuration file: read, checked, compared, turned into what the stages take."""

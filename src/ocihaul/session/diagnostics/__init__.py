"""What is wrong with a session: its files, probes of the services, and the checks on both."""

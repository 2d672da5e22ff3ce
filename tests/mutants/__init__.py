"""Rules of the code, each broken once: tests that hold a rule fail where it is broken."""

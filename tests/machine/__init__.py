"""A machine of our own for tests: what needs another kernel set up than this one's."""

"""A backup of what only the database and the configuration know, and its return.

It is a ``tar.gz``: ``manifest.json`` (what is in it, with checksums), ``tables/NAME.jsonl`` (a row
a line, all tables as they were at one moment) and ``config/…`` (the files of the home's
configuration). Job directories are not in it: they are the larger part of a home, and are backed
up as files.
"""

from webapp.backup.restore import Restored, restore
from webapp.backup.save import Saved, backup

__all__ = ["Restored", "Saved", "backup", "restore"]

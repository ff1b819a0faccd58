"""The offline core: job directories, job types, releases and attempts.

It knows no web, queue or database; everything here works on a laptop with no server.
"""

from importlib.metadata import version

__version__ = version("ixmp-jobrunner")

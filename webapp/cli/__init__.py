"""Commands of the service, offered as ``jobrunner …`` where it is installed."""
